/**
 * Jobs of `make`: the chunks of a segment go into the store, each while it is in the processor's
 * cache, and the digest of the whole stream goes on.
 */
import { CHUNK_ID_LENGTH, type ChunkId, writeChunkId } from '../../../formats/chunk-id.ts';
import type { JobContext } from '../job-context.node.ts';

export interface StoreChunksInput {
  /** Of the first chunk in the shared memory; the others follow. */
  readonly address: number;
  /** Length of each chunk in bytes. */
  readonly lengths: readonly number[];
}

export interface StoreChunksOutput {
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array;
  /** Chunks that the store had already, or has got from somebody else meanwhile. */
  readonly reusedCount: number;
}

/** @throws StorageError */
export async function storeChunks(
  context: JobContext,
  { address, lengths }: StoreChunksInput,
): Promise<StoreChunksOutput> {
  const digests = new Uint8Array(lengths.length * CHUNK_ID_LENGTH);
  let reusedCount = 0;
  let start = address;
  for (const [i, length] of lengths.entries()) {
    const chunk = context.bytes(start, length);
    const digest = digests.subarray(i * CHUNK_ID_LENGTH, (i + 1) * CHUNK_ID_LENGTH);
    if (!(await storeChunk(context, chunk, digest))) reusedCount += 1;
    start += length;
  }
  return { digests, reusedCount };
}

/** Digests chunks without storing them. @returns 32 bytes for each */
export function digestChunks(
  context: JobContext,
  { address, lengths }: StoreChunksInput,
): Uint8Array {
  const digests = new Uint8Array(lengths.length * CHUNK_ID_LENGTH);
  let start = address;
  for (const [i, length] of lengths.entries()) {
    const id = context.digest.hash(context.bytes(start, length));
    writeChunkId(id, digests, i * CHUNK_ID_LENGTH);
    start += length;
  }
  return digests;
}

/** @param digest filled in. @returns whether the chunk is new */
async function storeChunk(
  context: JobContext,
  chunk: Uint8Array,
  digest: Uint8Array,
): Promise<boolean> {
  let id: ChunkId | undefined;
  if (isZero(chunk)) digest.set(context.zeroDigest(chunk.length));
  else {
    id = context.digest.hash(chunk);
    writeChunkId(id, digest, 0);
  }
  if (!context.claims.claim(digest)) return false;
  return (await context.store.put(id ?? context.digest.hash(chunk), chunk)) === 'stored';
}

/** Every byte equals the next one, and the first is zero. */
function isZero({ buffer, byteOffset, length }: Uint8Array): boolean {
  const bytes = Buffer.from(buffer, byteOffset, length);
  if (bytes[0] !== 0 || bytes[length - 1] !== 0) return false;
  return bytes.compare(bytes, 1, length, 0, length - 1) === 0;
}

/** A chunk of zeros that nothing has to be read for. @returns like {@link storeChunks} */
export async function storeZeroChunk(
  context: JobContext,
  { length }: { readonly length: number },
): Promise<StoreChunksOutput> {
  const digests = context.zeroDigest(length).slice();
  if (!context.claims.claim(digests)) return { digests, reusedCount: 1 };
  const chunk = new Uint8Array(length);
  const outcome = await context.store.put(context.digest.hash(chunk), chunk);
  return { digests, reusedCount: outcome === 'stored' ? 0 : 1 };
}

/** The 32 bytes of the digest of a chunk of zeros. */
export function digestZeroChunk(
  context: JobContext,
  { length }: { readonly length: number },
): Uint8Array {
  return context.zeroDigest(length).slice();
}

/** The next bytes of the whole stream. To be run in sequence. */
export function digestStream(
  context: JobContext,
  { address, length }: { readonly address: number; readonly length: number },
): void {
  context.stream.update(context.bytes(address, length));
}

/** Zeros are hashed from this many at a time. */
const ZEROS = Buffer.alloc(1 << 20);

/** Like {@link digestStream}, for bytes that are zero. */
export function digestZeros(context: JobContext, { length }: { readonly length: number }): void {
  for (let left = length; left > 0; left -= ZEROS.length) {
    context.stream.update(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
  }
}

/** The digest of everything that {@link digestStream} has seen. To be run in sequence, once. */
export function finishDigest(context: JobContext): ChunkId {
  return context.stream.finish();
}

/** Waits until everything this thread has put is durable and visible. @throws StorageError */
export function flushStore(context: JobContext): Promise<void> {
  return context.store.flush();
}
