/**
 * A transcoder whose work is done by the threads of a pool: the thread that talks to other machines has
 * enough to do. Used by stores on other machines.
 */
import type { ChunkId } from '../../formats/chunk-id.ts';
import type { StoredChunk } from '../../store/stored-chunk.ts';
import type { ChunkTranscoder, DecodeOptions, EncodeOptions } from '../../store/transcoder.ts';
import { errorFromMessage } from '../work/error-message.ts';
import type {
  DecodedChunk,
  EncodedChunk,
  NotTranscoded,
} from '../work/jobs/transcode-chunks.node.ts';
import type { JobPool } from '../work/jobs.node.ts';

/** A job takes what has come in one turn of the event loop, up to so many plain bytes. */
const BYTES_OF_JOB = 512 * 1024;

/**
 * @param here does what the threads cannot see: chunks whose size is not known, and memory of our own
 */
export function createPooledTranscoder(pool: JobPool, here: ChunkTranscoder): ChunkTranscoder {
  const decoding = new Collector<DecodedChunk, undefined>(
    ({ into }) => into.length,
    (chunks) => pool.run('decodeChunks', chunks),
  );
  const encoding = new Collector<EncodedChunk, Uint8Array>(
    ({ plain }) => plain.length,
    (chunks) => pool.run('encodeChunks', chunks),
  );
  return {
    async decode(id: ChunkId, stored: StoredChunk, options: DecodeOptions): Promise<Uint8Array> {
      const { subject, expectedSize = 0, into } = options;
      const hasRoom = into !== undefined && expectedSize > 0 && into.length >= expectedSize;
      if (!hasRoom || !isShared(into)) return here.decode(id, stored, options);
      const plain = into.subarray(0, expectedSize);
      const { bytes, isPlain } = stored;
      await decoding.add({ id, subject, stored: { bytes: alone(bytes), isPlain }, into: plain });
      return plain;
    },

    async encode(plain: Uint8Array, options: EncodeOptions): Promise<Uint8Array> {
      if (!isShared(plain)) return here.encode(plain, options);
      return encoding.add({ subject: options.subject, plain });
    },
  };
}

function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}

/** Whoever sends a part of a buffer sends all of it. */
function alone(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice();
}

interface Waiting<Chunk, Result> {
  readonly chunk: Chunk;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes jobs of what comes chunk by chunk. */
class Collector<Chunk, Result> {
  readonly #sizeOf: (chunk: Chunk) => number;
  readonly #run: (chunks: readonly Chunk[]) => Promise<readonly (Result | NotTranscoded)[]>;
  #waiting: Waiting<Chunk, Result>[] = [];
  #size = 0;

  constructor(
    sizeOf: (chunk: Chunk) => number,
    run: (chunks: readonly Chunk[]) => Promise<readonly (Result | NotTranscoded)[]>,
  ) {
    this.#sizeOf = sizeOf;
    this.#run = run;
  }

  add(chunk: Chunk): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.#begin());
      this.#waiting.push({ chunk, resolve, reject });
      this.#size += this.#sizeOf(chunk);
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
        for (const [i, { resolve, reject }] of waiting.entries()) {
          const result = results[i];
          if (isFailure(result)) reject(errorFromMessage(result.error));
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
