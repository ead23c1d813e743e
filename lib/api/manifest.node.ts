/** `manifest` of the library: the nodes of a tree with digests (spec/api.md, "manifest"). */
import type { ChunkId } from '../../formats/chunk-id.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import type { DigestStream } from '../../store/transforms.ts';
import { createDigest } from '../digest/digest.node.ts';
import { type Give, streamed } from './streamed.ts';
import { type TreeEntry, type VisitOptions, type Visitor, visitTree } from './visit-tree.node.ts';

export type ManifestOptions = VisitOptions;

export interface ManifestEntry extends TreeEntry {
  /** Of the content of a file, by the algorithm that the feature flags name. */
  readonly contentDigest?: ChunkId;
}

/**
 * The entries of a folder, archive or archive index, in archive order, files with the digest of their
 * content.
 * @throws CasError `USAGE`, `NOT_IN_ARCHIVE`, `ABORTED`, and what reading throws
 */
export function manifest(options: ManifestOptions): AsyncIterable<ManifestEntry> {
  return streamed(
    (give, signal) => visitTree({ ...options, signal }, createVisitor(give)),
    options.signal,
  );
}

/** A file is complete when its content has been seen. */
function createVisitor(give: Give<ManifestEntry>): Visitor {
  let file: { readonly entry: TreeEntry; readonly content: DigestStream } | undefined;
  return {
    enter(entry) {
      if (entry.node.type !== 'file') return give(entry);
      const content = createDigest(digestOfFlags(entry.node.featureFlags)).stream();
      file = { entry, content };
      return undefined;
    },
    data: (bytes) => file?.content.update(bytes),
    leave() {
      if (file === undefined) return undefined;
      const { path, depth, node, shownFlags } = file.entry;
      const contentDigest = file.content.finish();
      file = undefined;
      return give({ path, depth, node, shownFlags, contentDigest });
    },
  };
}
