/**
 * Jobs of remote stores: the processor's part of getting and putting chunks, several at a time. Chunks,
 * and those that were received, lie in the shared memory.
 */
import { CHUNK_ID_LENGTH, chunkIdFromBytes } from '../../../formats/chunk-id.ts';
import { type ErrorMessage, messageOfError } from '../error-message.ts';
import type { JobContext } from '../job-context.node.ts';

/** Part of the shared memory, in bytes. */
export interface MemoryRange {
  readonly address: number;
  readonly length: number;
}

export interface DecodeChunksInput {
  /** 32 bytes for each chunk. */
  readonly digests: Uint8Array;
  readonly chunks: readonly {
    readonly stored: MemoryRange;
    /** Whether the stored bytes are the chunk itself. */
    readonly isPlain: boolean;
    /** Where the chunk goes; as long as it is. */
    readonly plain: MemoryRange;
  }[];
}

/** Why there is no result. The subject is the caller's affair. */
export interface NotTranscoded {
  readonly error: ErrorMessage;
}

/** Every chunk on its own, whatever becomes of the others. */
export function decodeChunks(
  context: JobContext,
  { digests, chunks }: DecodeChunksInput,
): Promise<readonly (NotTranscoded | undefined)[]> {
  return eachOf(chunks, async ({ stored, isPlain, plain }, i) => {
    const id = chunkIdFromBytes(digests, i * CHUNK_ID_LENGTH);
    const into = context.bytes(plain.address, plain.length);
    const bytes = context.bytes(stored.address, stored.length);
    const options = { subject: '', expectedSize: into.length, into };
    const decoded = await context.transcoder.decode(id, { bytes, isPlain }, options);
    if (decoded.buffer !== into.buffer) into.set(decoded);
    return undefined;
  });
}

/** The same the other way round. @returns arrays of their own */
export function encodeChunks(
  context: JobContext,
  chunks: readonly MemoryRange[],
): Promise<readonly (NotTranscoded | Uint8Array)[]> {
  return eachOf(chunks, async ({ address, length }) => {
    const plain = context.bytes(address, length);
    const stored = await context.transcoder.encode(plain, { subject: '' });
    return stored.length === stored.buffer.byteLength ? stored : stored.slice();
  });
}

async function eachOf<Chunk, Result>(
  chunks: readonly Chunk[],
  transcode: (chunk: Chunk, i: number) => Promise<Result>,
): Promise<readonly (NotTranscoded | Result)[]> {
  const results: (NotTranscoded | Result)[] = [];
  for (const [i, chunk] of chunks.entries()) {
    try {
      results.push(await transcode(chunk, i));
    } catch (error) {
      results.push({ error: messageOfError(error) });
    }
  }
  return results;
}
