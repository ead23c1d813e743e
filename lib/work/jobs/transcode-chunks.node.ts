/**
 * Jobs of remote stores: the processor's part of getting and putting chunks, several at a time. All
 * memory is shared with the caller; nothing but lengths is sent back.
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
  /** Where the chunk goes; as long as it is. */
  readonly into: Uint8Array;
}

export interface EncodedChunk {
  /** The chunk, in messages. */
  readonly subject: string;
  readonly plain: Uint8Array;
  /** Where the stored form goes, with room for the worst case. */
  readonly into: Uint8Array;
  /** Memory to prove it in. */
  readonly proof: Uint8Array;
}

/** How long a result is, or why there is none. */
export type Transcoded = number | ErrorMessage;

/** Every chunk on its own, whatever becomes of the others. */
export async function decodeChunks(
  context: JobContext,
  chunks: readonly DecodedChunk[],
): Promise<readonly Transcoded[]> {
  return eachOf(chunks, async ({ id, subject, stored, into }) => {
    const options = { subject, expectedSize: into.length, into };
    const plain = await context.transcoder.decode(id, stored, options);
    if (plain.buffer !== into.buffer) into.set(plain);
    return plain.length;
  });
}

/** The same the other way round. */
export async function encodeChunks(
  context: JobContext,
  chunks: readonly EncodedChunk[],
): Promise<readonly Transcoded[]> {
  return eachOf(chunks, async ({ plain, subject, into, proof }) => {
    const stored = await context.transcoder.encode(plain, { subject, into, proof });
    if (stored.buffer !== into.buffer) into.set(stored);
    return stored.length;
  });
}

async function eachOf<Chunk>(
  chunks: readonly Chunk[],
  transcode: (chunk: Chunk) => Promise<number>,
): Promise<readonly Transcoded[]> {
  const results: Transcoded[] = [];
  for (const chunk of chunks) {
    try {
      results.push(await transcode(chunk));
    } catch (error) {
      results.push(messageOfError(error));
    }
  }
  return results;
}
