/** The nodes of a whole archive with their paths and contents, for tests of text outputs. */
import { createHash } from 'node:crypto';
import { concatBytes } from '../../formats/bytes.ts';
import type { CatarNode } from '../../formats/catar-events.ts';
import type { ChunkId } from '../../formats/chunk-id.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import { parseArchive } from './catar.ts';

export interface ArchiveNode {
  /** Names joined by slashes; empty for the root. */
  readonly path: Uint8Array;
  readonly node: CatarNode;
  /** Archive offset of the ENTRY record. */
  readonly offset: number;
  readonly contentDigest: ChunkId;
  /** Digest of all records of the node but its name. */
  readonly nodeDigest: ChunkId;
}

function digest(flags: bigint, bytes: Uint8Array): ChunkId {
  return createHash(digestOfFlags(flags)).update(bytes).digest('hex') as ChunkId;
}

/** In archive order. */
export function archiveNodes(archive: Uint8Array): readonly ArchiveNode[] {
  const open: { nodes: number; parts: Uint8Array[]; path: Uint8Array }[] = [];
  const nodes: ArchiveNode[] = [];
  for (const event of parseArchive(archive)) {
    const top = open.at(-1);
    if (event.kind === 'enter') {
      const prefix = top && top.path.length > 0 ? [top.path, Uint8Array.of(0x2f)] : [];
      const path = concatBytes([...prefix, event.name]);
      const { node, offset = 0 } = event;
      open.push({ nodes: nodes.length, parts: [], path });
      const none = '' as ChunkId;
      nodes.push({ path, node, offset, contentDigest: none, nodeDigest: none });
    } else if (event.kind === 'data') {
      top?.parts.push(event.bytes);
    } else if (top) {
      open.pop();
      const entry = nodes[top.nodes];
      const { featureFlags } = entry.node;
      const contentDigest = digest(featureFlags, concatBytes(top.parts));
      const nodeDigest = digest(featureFlags, archive.subarray(entry.offset, event.end));
      nodes[top.nodes] = { ...entry, contentDigest, nodeDigest };
    }
  }
  return nodes;
}
