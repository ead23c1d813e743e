/**
 * What lies between a chunk and its stored form: compression, and the proof that both belong together.
 * The one place that decides whether a chunk is good (spec/formats/castr.md, "Reading").
 */
import { equalBytes } from '../formats/bytes.ts';
import type { ChunkId } from '../formats/chunk-id.ts';
import { DEFAULT_DECODE_LIMITS } from '../formats/decode-limits.ts';
import { type CasError, isCasError } from '../formats/errors.ts';
import { detectCodec } from './codec-magic.ts';
import { ChunkDamaged, StorageError } from './errors.ts';
import type { StoredChunk } from './stored-chunk.ts';
import type { Awaitable, Codec, CodecName, Codecs, Digest } from './transforms.ts';

/** What a stored chunk may be longer than its plain bytes: incompressible data and headers. */
const STORED_OVERHEAD = 1024 * 1024;

/** What a decoder says about foreign bytes. */
const DAMAGE: ReadonlySet<string> = new Set(['FORMAT', 'LIMIT_EXCEEDED']);

export interface DecodeOptions {
  /** The chunk, in messages. */
  readonly subject: string;
  /** Size of the chunk in bytes, as the index says; another size is damage. */
  readonly expectedSize?: number;
  /** Memory for the chunk, used together with `expectedSize` if it has room for so many bytes. */
  readonly into?: Uint8Array;
}

export interface EncodeOptions {
  /** The chunk, in messages. */
  readonly subject: string;
  /** Memory for the stored form, with room for the worst case. */
  readonly into?: Uint8Array;
  /** Memory for the proof, as long as the chunk. */
  readonly proof?: Uint8Array;
}

export interface ChunkTranscoder {
  /** The plain bytes, verified against the id. @throws ChunkDamaged */
  decode(id: ChunkId, stored: StoredChunk, options: DecodeOptions): Awaitable<Uint8Array>;
  /**
   * Compressed bytes that are proven to give back `plain`, whatever the library does.
   * @throws StorageError `IO` if they do not
   */
  encode(plain: Uint8Array, options: EncodeOptions): Awaitable<Uint8Array>;
}

export interface TranscoderOptions {
  /** Tried in order; one where the index says which. */
  readonly digests: readonly Digest[];
  readonly codecs: Codecs;
  /** For new chunks; zstd if left out. Reading recognises all. */
  readonly compression?: CodecName;
  /** Largest chunk in bytes where the index does not say its size; 128 MiB if left out. */
  readonly maxChunkSize?: number;
  /** Whether two arrays hold the same bytes, faster than JavaScript can compare them. */
  readonly equalBytes?: (a: Uint8Array, b: Uint8Array) => boolean;
}

/** Bytes that the stored form of a chunk has at most; more is damage. @param size of the chunk */
export function storedCeiling(size: number): number {
  return size + STORED_OVERHEAD;
}

/** That stored bytes are not what their name says. */
export function chunkDamaged(subject: string, reason: string, cause?: unknown): ChunkDamaged {
  return new ChunkDamaged({ subject, reason, cause });
}

/** A transcoder that does its work where it is called. */
export function createTranscoder(options: TranscoderOptions): ChunkTranscoder {
  return new Transcoder(options);
}

class Transcoder implements ChunkTranscoder {
  readonly #digests: readonly Digest[];
  readonly #codecs: Codecs;
  readonly #codec: Codec;
  readonly #maxChunkSize: number;
  readonly #equalBytes: (a: Uint8Array, b: Uint8Array) => boolean;

  constructor(options: TranscoderOptions) {
    this.#digests = options.digests;
    this.#codecs = options.codecs;
    this.#codec = options.codecs[options.compression ?? 'zstd'];
    this.#maxChunkSize = options.maxChunkSize ?? DEFAULT_DECODE_LIMITS.maxChunkSize;
    this.#equalBytes = options.equalBytes ?? equalBytes;
  }

  async decode(id: ChunkId, stored: StoredChunk, options: DecodeOptions): Promise<Uint8Array> {
    const { subject, expectedSize } = options;
    const ceiling = expectedSize ?? this.#maxChunkSize;
    const output = expectedSize === undefined ? undefined : options.into;
    const plain = await this.#decompress(stored, { subject, ceiling, output });
    if (plain.length === 0) throw chunkDamaged(subject, 'no bytes');
    if (expectedSize !== undefined && plain.length !== expectedSize) {
      throw chunkDamaged(subject, `${plain.length} bytes instead of ${expectedSize}`);
    }
    if (plain.length > ceiling) throw chunkDamaged(subject, `more than ${ceiling} bytes`);
    if (this.#digests.some((digest) => digest.hash(plain) === id)) return plain;
    throw chunkDamaged(subject, 'digest differs');
  }

  async #decompress(
    stored: StoredChunk,
    { subject, ceiling, output }: Decompression,
  ): Promise<Uint8Array> {
    if (stored.isPlain) return placed(stored.bytes, ceiling, output);
    const name = detectCodec(stored.bytes);
    if (name === undefined) throw chunkDamaged(subject, 'unknown compression');
    try {
      return await this.#codecs[name].decompress(stored.bytes, ceiling, output);
    } catch (error) {
      const isDamage = isCasError(error) && DAMAGE.has(error.code);
      throw isDamage ? damageOf(subject, error) : error;
    }
  }

  async encode(plain: Uint8Array, { subject, into, proof }: EncodeOptions): Promise<Uint8Array> {
    const stored = await this.#codec.compress(plain, into);
    let decoded: Uint8Array | undefined;
    let cause: unknown;
    try {
      decoded = await this.#codec.decompress(stored, plain.length, proof);
    } catch (error) {
      if (!isCasError(error)) throw error;
      cause = error;
    }
    if (decoded !== undefined && this.#equalBytes(decoded, plain)) return stored;
    const reason = `${this.#codec.name} does not give back what it compressed`;
    throw new StorageError('IO', { subject, step: 'compress', reason, cause });
  }
}

interface Decompression {
  readonly subject: string;
  readonly ceiling: number;
  readonly output: Uint8Array | undefined;
}

function damageOf(subject: string, error: CasError): ChunkDamaged {
  return chunkDamaged(subject, `cannot be decoded: ${error.message}`, error);
}

/** Plain bytes that need no decoding, moved to where the caller wants them, as codecs do it. */
function placed(plain: Uint8Array, ceiling: number, output: Uint8Array | undefined): Uint8Array {
  if (output === undefined || output.length < ceiling || plain.length > ceiling)
    return plain.slice();
  output.set(plain);
  return output.subarray(0, plain.length);
}
