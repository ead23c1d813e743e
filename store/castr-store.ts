/**
 * A castr store over any ObjectBackend: the one place that knows names, compression and verification
 * of chunks (spec/formats/castr.md). Used wherever chunks are read or written.
 */
import { equalBytes } from '../formats/bytes.ts';
import type { ChunkId } from '../formats/chunk-id.ts';
import { chunkKey, parseChunkKey } from '../formats/chunk-path.ts';
import { DEFAULT_DECODE_LIMITS } from '../formats/decode-limits.ts';
import { CasError, isCasError } from '../formats/errors.ts';
import type { GetObjectOptions, ObjectBackend, ObjectKey, SignalOption } from './backend.ts';
import type { GetOptions, ListedChunk, ManagedChunkStore } from './chunk-store.ts';
import { detectCodec } from './codec-magic.ts';
import { ChunkDamaged, ChunkMissing, StorageError } from './errors.ts';
import { isObjectKey } from './object-key.ts';
import { Scratch } from './scratch.ts';
import {
  type Codec,
  type CodecName,
  type Codecs,
  compressedRoom,
  type Digest,
} from './transforms.ts';

const COMPRESSED_SUFFIX = '.cacnk';
/** What a stored chunk may be longer than its plain bytes: incompressible data and headers. */
const STORED_OVERHEAD = 1024 * 1024;
/** Stored chunks above this size are read into memory of their own. */
const READ_ROOM = 1024 * 1024;

/** What a decoder says about foreign bytes. */
const DAMAGE: ReadonlySet<string> = new Set(['FORMAT', 'LIMIT_EXCEEDED']);

export interface CastrStoreOptions {
  /** Tried in order; one where the index says which. */
  readonly digests: readonly Digest[];
  readonly codecs: Codecs;
  /** For chunks that are put; zstd if left out. Reading recognises all. */
  readonly compression?: CodecName;
  /** Of compressed chunks; `.cacnk` if left out. */
  readonly suffix?: string;
  /** Largest chunk in bytes where the index does not say its size; 128 MiB if left out. */
  readonly maxChunkSize?: number;
  /** Whether two arrays hold the same bytes, faster than JavaScript can compare them. */
  readonly equalBytes?: (a: Uint8Array, b: Uint8Array) => boolean;
}

/**
 * Opens the chunks in `backend`, which belongs to the store from now on.
 * @throws CasError `USAGE` if `options.suffix` cannot be part of a name
 */
export function openCastrStore(
  backend: ObjectBackend,
  options: CastrStoreOptions,
): ManagedChunkStore {
  const { suffix = COMPRESSED_SUFFIX } = options;
  if (suffix.includes('/') || !isObjectKey(`0${suffix}`)) {
    throw new CasError('USAGE', { subject: suffix, reason: 'not a suffix for chunks' });
  }
  return new CastrStore(backend, options, suffix);
}

interface Stored {
  readonly bytes: Uint8Array;
  /** Whether the bytes are the chunk itself. */
  readonly isPlain: boolean;
}

class CastrStore implements ManagedChunkStore {
  readonly #backend: ObjectBackend;
  readonly #digests: readonly Digest[];
  readonly #codecs: Codecs;
  readonly #codec: Codec;
  readonly #maxChunkSize: number;
  readonly #equalBytes: (a: Uint8Array, b: Uint8Array) => boolean;
  readonly #scratch = new Scratch();
  /** The suffixes that a chunk may have; the first is that of new chunks. */
  readonly #suffixes: readonly string[];

  constructor(backend: ObjectBackend, options: CastrStoreOptions, suffix: string) {
    this.#backend = backend;
    this.#digests = options.digests;
    this.#codecs = options.codecs;
    this.#codec = options.codecs[options.compression ?? 'zstd'];
    this.#maxChunkSize = options.maxChunkSize ?? DEFAULT_DECODE_LIMITS.maxChunkSize;
    this.#equalBytes = options.equalBytes ?? equalBytes;
    this.#suffixes = suffix === '' ? [''] : [suffix, ''];
  }

  get label(): string {
    return this.#backend.label;
  }

  async has(id: ChunkId, { signal }: SignalOption = {}): Promise<boolean> {
    return this.#backend.has(this.#keys(id), signalOption(signal));
  }

  async get(id: ChunkId, { signal, expectedSize, into }: GetOptions = {}): Promise<Uint8Array> {
    const ceiling = expectedSize ?? this.#maxChunkSize;
    const room = this.#scratch.take(Math.min(compressedRoom(ceiling), READ_ROOM));
    try {
      const options = { ...signalOption(signal), maxSize: ceiling + STORED_OVERHEAD, into: room };
      const stored = await this.#read(id, options);
      const output = expectedSize === undefined ? undefined : into;
      const plain = await this.#decode(id, stored, ceiling, output);
      return this.#verified(id, plain, ceiling, expectedSize);
    } finally {
      this.#scratch.release(room);
    }
  }

  #verified(
    id: ChunkId,
    plain: Uint8Array,
    ceiling: number,
    expectedSize: number | undefined,
  ): Uint8Array {
    if (plain.length === 0) throw this.#damaged(id, 'no bytes');
    if (expectedSize !== undefined && plain.length !== expectedSize) {
      throw this.#damaged(id, `${plain.length} bytes instead of ${expectedSize}`);
    }
    if (plain.length > ceiling) throw this.#damaged(id, `more than ${ceiling} bytes`);
    if (this.#digests.some((digest) => digest.hash(plain) === id)) return plain;
    throw this.#damaged(id, 'digest differs');
  }

  async put(
    id: ChunkId,
    plain: Uint8Array,
    { signal }: SignalOption = {},
  ): Promise<'stored' | 'present'> {
    const option = signalOption(signal);
    const keys = this.#keys(id);
    if (await this.#backend.has(keys, option)) return 'present';
    const encoded = this.#scratch.take(compressedRoom(plain.length));
    const decoded = this.#scratch.take(plain.length);
    try {
      const stored = await this.#encode(id, plain, encoded, decoded);
      return await this.#backend.put(keys[0], stored, { ...option, ifAbsent: true });
    } finally {
      this.#scratch.release(encoded);
      this.#scratch.release(decoded);
    }
  }

  flush({ signal }: SignalOption = {}): Promise<void> {
    return this.#backend.flush(signalOption(signal));
  }

  async *list({ signal }: SignalOption = {}): AsyncGenerator<ListedChunk> {
    for await (const { key, size, modified } of this.#backend.list('', signalOption(signal))) {
      for (const suffix of this.#suffixes) {
        const id = parseChunkKey(key, suffix);
        if (id !== undefined) yield { id, size, modified };
      }
    }
  }

  async remove(id: ChunkId, { signal }: SignalOption = {}): Promise<void> {
    for (const key of this.#keys(id)) await this.#backend.remove(key, signalOption(signal));
  }

  close(): Promise<void> {
    return this.#backend.close();
  }

  /** The names that a chunk may have; the first is that of new chunks. */
  #keys(id: ChunkId): readonly ObjectKey[] {
    return this.#suffixes.map((suffix) => chunkKey(id, suffix));
  }

  #subject(id: ChunkId): string {
    return `${this.label}: chunk ${id}`;
  }

  #damaged(id: ChunkId, reason: string, cause?: unknown): ChunkDamaged {
    return new ChunkDamaged({ subject: this.#subject(id), reason, cause });
  }

  /** The object under the first name that is there. */
  async #read(id: ChunkId, options: GetObjectOptions): Promise<Stored> {
    let missing: CasError | undefined;
    for (const suffix of this.#suffixes) {
      try {
        const bytes = await this.#backend.get(chunkKey(id, suffix), options);
        return { bytes, isPlain: suffix !== this.#suffixes[0] };
      } catch (error) {
        if (!isCasError(error)) throw error;
        if (error.code === 'LIMIT_EXCEEDED') throw this.#damaged(id, error.reason, error);
        if (error.code !== 'OBJECT_MISSING') throw error;
        missing ??= error;
      }
    }
    const reason = missing?.reason ?? 'missing';
    throw new ChunkMissing({ subject: this.#subject(id), reason, cause: missing });
  }

  async #decode(
    id: ChunkId,
    stored: Stored,
    ceiling: number,
    output: Uint8Array | undefined,
  ): Promise<Uint8Array> {
    if (stored.isPlain) return placed(stored.bytes, ceiling, output);
    const name = detectCodec(stored.bytes);
    if (name === undefined) throw this.#damaged(id, 'unknown compression');
    try {
      return await this.#codecs[name].decompress(stored.bytes, ceiling, output);
    } catch (error) {
      const isDamage = isCasError(error) && DAMAGE.has(error.code);
      throw isDamage ? this.#damaged(id, `cannot be decoded: ${error.message}`, error) : error;
    }
  }

  /** Compressed bytes that are proven to give back `plain`, whatever the library does. */
  async #encode(
    id: ChunkId,
    plain: Uint8Array,
    encoded: Uint8Array,
    decodedRoom: Uint8Array,
  ): Promise<Uint8Array> {
    const stored = await this.#codec.compress(plain, encoded);
    let decoded: Uint8Array | undefined;
    let cause: unknown;
    try {
      decoded = await this.#codec.decompress(stored, plain.length, decodedRoom);
    } catch (error) {
      if (!isCasError(error)) throw error;
      cause = error;
    }
    if (decoded !== undefined && this.#equalBytes(decoded, plain)) return stored;
    const reason = `${this.#codec.name} does not give back what it compressed`;
    throw new StorageError('IO', { subject: this.#subject(id), step: 'compress', reason, cause });
  }
}

/** Plain bytes that need no decoding, moved to where the caller wants them, as codecs do it. */
function placed(plain: Uint8Array, ceiling: number, output: Uint8Array | undefined): Uint8Array {
  if (output === undefined || output.length < ceiling || plain.length > ceiling)
    return plain.slice();
  output.set(plain);
  return output.subarray(0, plain.length);
}

function signalOption(signal: AbortSignal | undefined): SignalOption {
  return signal === undefined ? {} : { signal };
}
