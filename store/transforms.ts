/** Pure byte work that a castr store needs; lib supplies the implementations. */
import type { ChunkId, DigestName } from '../formats/chunk-id.ts';

/** A value, or a promise of it where the implementation cannot be synchronous. */
export type Awaitable<T> = T | Promise<T>;

export interface Digest {
  readonly name: DigestName;
  /** Id of the bytes, synchronous: it is the hot path. */
  hash(bytes: Uint8Array): ChunkId;
  /** A running digest for streams. */
  stream(): DigestStream;
}

export interface DigestStream {
  update(bytes: Uint8Array): void;
  /** The digest of everything so far; ends the stream. */
  finish(): ChunkId;
}

export type CodecName = 'zstd' | 'xz' | 'gzip';

/** One compression algorithm. Passes test/conformance/codec.ts. */
export interface Codec {
  readonly name: CodecName;
  /**
   * One complete stream: a view of the beginning of `output`, if that has room for the worst case
   * ({@link compressedRoom}) and the implementation can use it, else a new array.
   */
  compress(plain: Uint8Array, output?: Uint8Array): Awaitable<Uint8Array>;
  /**
   * Decodes exactly one stream with nothing behind it.
   * @param output memory for the plain bytes. If it has room for `ceiling` bytes, the result is a
   * view of its beginning; what lies behind the result, and all of it after a failure, is undefined.
   * Without it the result is a new array.
   * @throws LimitExceeded as soon as more than `ceiling` bytes would come out
   * @throws FormatError on damaged, truncated or trailing data
   */
  decompress(stored: Uint8Array, ceiling: number, output?: Uint8Array): Awaitable<Uint8Array>;
}

/** Bytes that the compressed form of `size` bytes has at most, whatever the codec. */
export function compressedRoom(size: number): number {
  return size + Math.ceil(size / 128) + 1024;
}

/** All codecs of a program, for stores that must read whatever they find. */
export type Codecs = Readonly<Record<CodecName, Codec>>;
