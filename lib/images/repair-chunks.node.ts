/**
 * Good copies of chunks that an image has lost, from stores and from other images, each compared with
 * its digest before anybody writes it (spec/images.md, "Repair").
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../formats/block-digest.ts';
import { equalBytes } from '../../formats/bytes.ts';
import { type ChunkId, chunkIdFromBytes } from '../../formats/chunk-id.ts';
import { isCasError } from '../../formats/errors.ts';
import type { ChunkSource } from '../../store/chunk-store.ts';
import { abortedError } from '../errors.ts';

/** What is lost. */
export interface LostChunk {
  readonly offset: number;
  readonly size: number;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}

/** Other bytes that may hold a chunk at the same place. */
export interface CopyReader {
  readonly label: string;
  /** @returns fewer bytes where it ends @throws CasError */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export interface GoodCopies {
  readonly digest: BlockDigest;
  /** Asked first, in this order. */
  readonly copies: readonly CopyReader[];
  readonly stores: ChunkSource | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Why a source has no good copy: another one may. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  ...['CHUNK_MISSING', 'CHUNK_DAMAGED', 'STORE_MISSING', 'OBJECT_MISSING', 'UNAVAILABLE'],
  ...['DENIED', 'IO', 'SOURCE_CHANGED', 'FORMAT'],
]);

/** The bytes, or undefined if no source has them. */
export async function findGoodCopy(
  chunk: LostChunk,
  sources: GoodCopies,
): Promise<Uint8Array | undefined> {
  const zeros = new Uint8Array(chunk.size);
  if (isGood(zeros, chunk, sources.digest)) return zeros;
  for (const copy of sources.copies) {
    const bytes = await unlessMissing(() => copy.read(chunk.offset, chunk.size), sources);
    if (bytes !== undefined && isGood(bytes, chunk, sources.digest)) return bytes;
  }
  const { stores, signal } = sources;
  if (stores === undefined) return undefined;
  const id: ChunkId = chunkIdFromBytes(chunk.digest, 0);
  const options = { expectedSize: chunk.size, ...(signal ? { signal } : {}) };
  return unlessMissing(() => stores.get(id, options), sources);
}

async function unlessMissing(
  read: () => Promise<Uint8Array>,
  { signal }: GoodCopies,
): Promise<Uint8Array | undefined> {
  try {
    return await read();
  } catch (error) {
    if (signal?.aborted) throw abortedError();
    if (!isCasError(error) || !ELSEWHERE.has(error.code)) throw error;
    return undefined;
  }
}

function isGood(bytes: Uint8Array, { size, digest }: LostChunk, by: BlockDigest): boolean {
  if (bytes.length !== size) return false;
  const found = new Uint8Array(DIGEST_LENGTH);
  by.write(bytes, found, 0);
  return equalBytes(found, digest);
}
