/**
 * Jobs of remote stores: the processor's part of getting and putting chunks, several at a time. Plain
 * chunks lie in the shared memory; stored ones, which are smaller, are sent from thread to thread.
 */
import type { ChunkId } from '../../../formats/chunk-id.ts';
import type { StoredChunk } from '../../../store/stored-chunk.ts';
import { type ErrorMessage, messageOfError } from '../error-message.ts';
import type { JobContext } from '../job-context.node.ts';

export interface DecodedChunk {
  readonly id: ChunkId;
  /** The chunk, in messages. */
  readonly subject: string;
  readonly stored: StoredChunk;
  /** Where the chunk goes, in shared memory; as long as it is. */
  readonly into: Uint8Array;
}

export interface EncodedChunk {
  /** The chunk, in messages. */
  readonly subject: string;
  /** In shared memory. */
  readonly plain: Uint8Array;
}

/** Why there is no result. */
export interface NotTranscoded {
  readonly error: ErrorMessage;
}

/** Every chunk on its own, whatever becomes of the others. */
export function decodeChunks(
  context: JobContext,
  chunks: readonly DecodedChunk[],
): Promise<readonly (NotTranscoded | undefined)[]> {
  return eachOf(chunks, async ({ id, subject, stored, into }) => {
    const options = { subject, expectedSize: into.length, into };
    const plain = await context.transcoder.decode(id, stored, options);
    if (plain.buffer !== into.buffer) into.set(plain);
    return undefined;
  });
}

/** The same the other way round. @returns arrays of their own */
export function encodeChunks(
  context: JobContext,
  chunks: readonly EncodedChunk[],
): Promise<readonly (NotTranscoded | Uint8Array)[]> {
  return eachOf(chunks, async ({ plain, subject }) => {
    const stored = await context.transcoder.encode(plain, { subject });
    return stored.length === stored.buffer.byteLength ? stored : stored.slice();
  });
}

async function eachOf<Chunk, Result>(
  chunks: readonly Chunk[],
  transcode: (chunk: Chunk) => Promise<Result>,
): Promise<readonly (NotTranscoded | Result)[]> {
  const results: (NotTranscoded | Result)[] = [];
  for (const chunk of chunks) {
    try {
      results.push(await transcode(chunk));
    } catch (error) {
      results.push({ error: messageOfError(error) });
    }
  }
  return results;
}
