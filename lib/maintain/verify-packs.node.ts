/**
 * The check of what a store has besides chunks with files of their own: packs (spec/formats/pack.md) and
 * versions in chains (spec/formats/version.md). Used by the check of stores.
 */
import { readdirSync } from 'node:fs';
import { DIGEST_LENGTH } from '../../formats/block-digest.ts';
import { CHUNK_ID_LENGTH, chunkIdFromBytes } from '../../formats/chunk-id.ts';
import { isCasError } from '../../formats/errors.ts';
import { attempt } from '../../store/backends/durable-write.node.ts';
import type { ChunkSource } from '../../store/chunk-store.ts';
import { isPackName, OpenedPack, PACK_FOLDER } from '../../store/pack-folder.node.ts';
import { CHAINS_FOLDER, ChainFolder, chainNames } from '../images/chain/chain-folder.node.ts';
import { ownDigests } from '../images/chain/version-file.node.ts';
import { ChunkIdSet } from './chunk-id-set.ts';
import { checkPack } from './pack-check.node.ts';
import type { StoreProblem } from './store-problem.ts';

/** Chunks of a pack that are checked together. */
export interface PackedBatch {
  /** Of the pack, below the store. */
  readonly path: string;
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array;
  readonly lengths: readonly number[];
}

const BATCH_COUNT = 256;
const TEMPORARY = /^\.#.+[0-9a-f]{16}$/;

export interface PackReports {
  readonly report: (problem: StoreProblem) => void;
  readonly onTemporary: () => void;
}

/** The chunks of all packs of a store; what is wrong with the packs themselves is reported. */
export function* packedBatches(store: string, reports: PackReports): Generator<PackedBatch> {
  const folder = `${store}/${PACK_FOLDER}`;
  const names = attempt(folder, 'list', () => readdirSync(folder));
  for (const name of names.sort()) {
    const path = `${PACK_FOLDER}/${name}`;
    if (TEMPORARY.test(name)) reports.onTemporary();
    else if (isPackName(name)) yield* batchesOf(`${store}/${path}`, path, reports);
    else reports.report({ kind: 'foreign', path, reason: 'not a pack' });
  }
}

function* batchesOf(file: string, path: string, { report }: PackReports): Generator<PackedBatch> {
  let pack: OpenedPack | undefined;
  try {
    pack = new OpenedPack(file);
    checkPack(pack);
    let digests = new Uint8Array(BATCH_COUNT * CHUNK_ID_LENGTH);
    let lengths: number[] = [];
    for (const { id, plainLength } of pack.reader.chunks()) {
      digests.set(id, lengths.length * CHUNK_ID_LENGTH);
      lengths.push(plainLength);
      if (lengths.length < BATCH_COUNT) continue;
      yield { path, digests, lengths };
      digests = new Uint8Array(BATCH_COUNT * CHUNK_ID_LENGTH);
      lengths = [];
    }
    if (lengths.length === 0) return;
    yield { path, digests: digests.slice(0, lengths.length * CHUNK_ID_LENGTH), lengths };
  } catch (error) {
    if (!isCasError(error)) throw error;
    const kind = error.code === 'FORMAT' ? 'damaged' : 'unreadable';
    report({ kind, path, reason: error.message });
  } finally {
    pack?.close();
  }
}

/** Checks the versions of all chains: that they can be read, and that no block of them is missing. */
export async function verifyVersions(
  store: string,
  source: Pick<ChunkSource, 'has'>,
  report: (problem: StoreProblem) => void,
): Promise<void> {
  const seen = new ChunkIdSet();
  for (const name of chainNames(store)) {
    const chain = new ChainFolder(store, name);
    const unlock = await chain.lock('shared');
    try {
      await verifyChain(chain, seen, source, report);
    } catch (error) {
      if (!isCasError(error)) throw error;
      const path = `${CHAINS_FOLDER}/${name}`;
      report({ kind: 'damaged', path, reason: error.message });
    } finally {
      unlock();
    }
  }
}

async function verifyChain(
  chain: ChainFolder,
  seen: ChunkIdSet,
  source: Pick<ChunkSource, 'has'>,
  report: (problem: StoreProblem) => void,
): Promise<void> {
  const versions = chain.versions();
  for (const version of versions) {
    chain.table(version, versions);
    for (const digests of ownDigests(version)) {
      for (let at = 0; at < digests.length; at += DIGEST_LENGTH) {
        if (!seen.add(digests, at)) continue;
        const id = chunkIdFromBytes(digests, at);
        if (await source.has(id)) continue;
        const reason = `needed by version ${version.id}`;
        report({ kind: 'missing', id, path: `${CHAINS_FOLDER}/${chain.name}`, reason });
      }
    }
  }
}
