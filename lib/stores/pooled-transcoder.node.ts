/**
 * A transcoder whose work is done by the threads of a pool: the thread that talks to other machines has
 * enough to do. Used by stores on other machines.
 */
import { CHUNK_ID_LENGTH, type ChunkId, writeChunkId } from '../../formats/chunk-id.ts';
import type { StoredChunk } from '../../store/stored-chunk.ts';
import type { ChunkTranscoder, DecodeOptions, EncodeOptions } from '../../store/transcoder.ts';
import { errorFromMessage } from '../work/error-message.ts';
import type { MemoryRange, NotTranscoded } from '../work/jobs/transcode-chunks.node.ts';
import type { JobPool } from '../work/jobs.node.ts';

/** A job takes what has come in one turn of the event loop, up to so many plain bytes. */
const BYTES_OF_JOB = 512 * 1024;

interface Decoding {
  readonly id: ChunkId;
  readonly subject: string;
  readonly stored: MemoryRange;
  readonly isPlain: boolean;
  readonly plain: MemoryRange;
}

interface Encoding {
  readonly subject: string;
  readonly plain: MemoryRange;
}

/**
 * @param memory of the pool
 * @param here does what the threads cannot see: chunks whose size is not known, and other memory
 */
export function createPooledTranscoder(
  pool: JobPool,
  memory: ArrayBufferLike,
  here: ChunkTranscoder,
): ChunkTranscoder {
  const isShared = (bytes: Uint8Array): boolean => bytes.buffer === memory;
  const decoding = new Collector<Decoding, undefined>((chunks) =>
    pool.run('decodeChunks', { digests: digestsOf(chunks), chunks: chunks.map(withoutNames) }),
  );
  const encoding = new Collector<Encoding, Uint8Array>((chunks) =>
    pool.run(
      'encodeChunks',
      chunks.map(({ plain }) => plain),
    ),
  );
  return {
    async decode(id: ChunkId, stored: StoredChunk, options: DecodeOptions): Promise<Uint8Array> {
      const { subject, expectedSize = 0, into } = options;
      const { bytes, isPlain } = stored;
      const hasRoom = into !== undefined && expectedSize > 0 && into.length >= expectedSize;
      if (!hasRoom || !isShared(into) || !isShared(bytes)) return here.decode(id, stored, options);
      const plain = into.subarray(0, expectedSize);
      const ranges = { stored: rangeOf(bytes), plain: rangeOf(plain) };
      await decoding.add({ id, subject, isPlain, ...ranges });
      return plain;
    },

    async encode(plain: Uint8Array, options: EncodeOptions): Promise<Uint8Array> {
      if (!isShared(plain)) return here.encode(plain, options);
      return encoding.add({ subject: options.subject, plain: rangeOf(plain) });
    },
  };
}

function rangeOf({ byteOffset, length }: Uint8Array): MemoryRange {
  return { address: byteOffset, length };
}

function withoutNames({ stored, isPlain, plain }: Decoding) {
  return { stored, isPlain, plain };
}

function digestsOf(chunks: readonly Decoding[]): Uint8Array {
  const digests = new Uint8Array(chunks.length * CHUNK_ID_LENGTH);
  for (const [i, { id }] of chunks.entries()) writeChunkId(id, digests, i * CHUNK_ID_LENGTH);
  return digests;
}

interface Waiting<Chunk, Result> {
  readonly chunk: Chunk;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes jobs of what comes chunk by chunk. */
class Collector<Chunk extends Encoding, Result> {
  readonly #run: (chunks: readonly Chunk[]) => Promise<readonly (Result | NotTranscoded)[]>;
  #waiting: Waiting<Chunk, Result>[] = [];
  #size = 0;

  constructor(run: (chunks: readonly Chunk[]) => Promise<readonly (Result | NotTranscoded)[]>) {
    this.#run = run;
  }

  add(chunk: Chunk): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#begin());
      this.#waiting.push({ chunk, resolve, reject });
      this.#size += chunk.plain.length;
      if (this.#size >= BYTES_OF_JOB) this.#begin();
    });
  }

  #begin(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    this.#size = 0;
    this.#run(waiting.map(({ chunk }) => chunk)).then(
      (results) => {
        for (const [i, { chunk, resolve, reject }] of waiting.entries()) {
          const result = results[i];
          if (isFailure(result))
            reject(errorFromMessage({ ...result.error, subject: chunk.subject }));
          else resolve(result);
        }
      },
      (error: unknown) => {
        for (const { reject } of waiting) reject(error);
      },
    );
  }
}

function isFailure(result: unknown): result is NotTranscoded {
  return typeof result === 'object' && result !== null && 'error' in result;
}
