/**
 * A castr store over any ObjectBackend: the one place that knows names, compression and verification
 * of chunks (spec/formats/castr.md). Used wherever chunks are read or written.
 */
import { equalBytes } from '../formats/bytes.ts';
import type { ChunkId } from '../formats/chunk-id.ts';
import { chunkKey, parseChunkKey } from '../formats/chunk-path.ts';
import { DEFAULT_DECODE_LIMITS } from '../formats/decode-limits.ts';
import { CasError, isCasError } from '../formats/errors.ts';
import type { ObjectBackend, SignalOption } from './backend.ts';
import type { ManagedChunkStore } from './chunk-store.ts';
import { ChunkDamaged, ChunkMissing, StorageError } from './errors.ts';
import { isObjectKey } from './object-key.ts';
import type { CodecName, Codecs, Digest } from './transforms.ts';

const COMPRESSED_SUFFIX = '.cacnk';
/** What a stored chunk may be longer than its plain bytes: incompressible data and headers. */
const STORED_OVERHEAD = 1024 * 1024;

const MAGICS: readonly (readonly [CodecName, readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

/** The algorithm that the first bytes of a stored chunk say, if any. */
export function detectCodec(stored: Uint8Array): CodecName | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, i) => stored[i] === byte))?.[0];
}

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
}

/**
 * Opens the chunks in `backend`, which belongs to the store from now on.
 * @throws CasError `USAGE` if `suffix` cannot be part of a name
 */
export function openCastrStore(
  backend: ObjectBackend,
  options: CastrStoreOptions,
): ManagedChunkStore {
  const { digests, codecs, compression = 'zstd', suffix = COMPRESSED_SUFFIX } = options;
  const { maxChunkSize = DEFAULT_DECODE_LIMITS.maxChunkSize } = options;
  const codec = codecs[compression];
  const suffixes = suffix === '' ? [''] : [suffix, ''];
  if (suffix.includes('/') || !isObjectKey(`0${suffix}`)) {
    throw new CasError('USAGE', { subject: suffix, reason: 'not a suffix for chunks' });
  }

  function subjectOf(id: ChunkId): string {
    return `${backend.label}: chunk ${id}`;
  }

  function damaged(id: ChunkId, reason: string, cause?: unknown): ChunkDamaged {
    return new ChunkDamaged({ subject: subjectOf(id), reason, cause });
  }

  async function isPresent(id: ChunkId, signal: SignalOption): Promise<boolean> {
    for (const end of suffixes) {
      if ((await backend.stat(chunkKey(id, end), signal)) !== undefined) return true;
    }
    return false;
  }

  /** The stored bytes under the first name that is there, and that name's suffix. */
  async function read(id: ChunkId, maxSize: number, signal: SignalOption): Promise<Stored> {
    let missing: CasError | undefined;
    for (const end of suffixes) {
      try {
        const bytes = await backend.get(chunkKey(id, end), { ...signal, maxSize });
        return { bytes, plain: end === '' && suffix !== '' };
      } catch (error) {
        if (!isCasError(error)) throw error;
        if (error.code === 'LIMIT_EXCEEDED') throw damaged(id, error.reason, error);
        if (error.code !== 'OBJECT_MISSING') throw error;
        missing ??= error;
      }
    }
    const reason = missing?.reason ?? 'missing';
    throw new ChunkMissing({ subject: subjectOf(id), reason, cause: missing });
  }

  async function decode(id: ChunkId, stored: Stored, ceiling: number): Promise<Uint8Array> {
    if (stored.plain) return stored.bytes;
    const name = detectCodec(stored.bytes);
    if (name === undefined) throw damaged(id, 'unknown compression');
    try {
      return await codecs[name].decompress(stored.bytes, ceiling);
    } catch (error) {
      const expected = isCasError(error) && ['FORMAT', 'LIMIT_EXCEEDED'].includes(error.code);
      throw expected ? damaged(id, `cannot be decoded: ${error.message}`, error) : error;
    }
  }

  /** Compressed bytes that are proven to give back `plain`, whatever the library does. */
  async function encode(id: ChunkId, plain: Uint8Array): Promise<Uint8Array> {
    const stored = await codec.compress(plain);
    let decoded: Uint8Array | undefined;
    let cause: unknown;
    try {
      decoded = await codec.decompress(stored, plain.length);
    } catch (error) {
      if (!isCasError(error)) throw error;
      cause = error;
    }
    if (decoded !== undefined && equalBytes(decoded, plain)) return stored;
    throw new StorageError('IO', {
      subject: subjectOf(id),
      step: 'compress',
      reason: `${codec.name} does not give back what it compressed`,
      cause,
    });
  }

  return {
    label: backend.label,

    has: (id, { signal } = {}) => isPresent(id, signalOption(signal)),

    async get(id, { signal, expectedSize } = {}) {
      const ceiling = expectedSize ?? maxChunkSize;
      const stored = await read(id, ceiling + STORED_OVERHEAD, signalOption(signal));
      const plain = await decode(id, stored, ceiling);
      if (plain.length === 0) throw damaged(id, 'no bytes');
      if (expectedSize !== undefined && plain.length !== expectedSize) {
        throw damaged(id, `${plain.length} bytes instead of ${expectedSize}`);
      }
      if (plain.length > maxChunkSize) throw damaged(id, `more than ${maxChunkSize} bytes`);
      if (digests.some((digest) => digest.hash(plain) === id)) return plain;
      throw damaged(id, 'digest differs');
    },

    async put(id, plain, { signal } = {}) {
      const option = signalOption(signal);
      if (await isPresent(id, option)) return 'present';
      const stored = await encode(id, plain);
      return backend.put(chunkKey(id, suffix), stored, { ...option, ifAbsent: true });
    },

    flush: ({ signal } = {}) => backend.flush(signalOption(signal)),

    async *list({ signal } = {}) {
      for await (const { key, size, modified } of backend.list('', signalOption(signal))) {
        for (const end of suffixes) {
          const id = parseChunkKey(key, end);
          if (id !== undefined) yield { id, size, modified };
        }
      }
    },

    async remove(id, { signal } = {}) {
      for (const end of suffixes) await backend.remove(chunkKey(id, end), signalOption(signal));
    },

    close: () => backend.close(),
  };
}

interface Stored {
  readonly bytes: Uint8Array;
  /** Whether the bytes are the chunk itself. */
  readonly plain: boolean;
}

function signalOption(signal: AbortSignal | undefined): SignalOption {
  return signal === undefined ? {} : { signal };
}
