/**
 * zstd by the system's libzstd: the fastest implementation (spec/formats/castr.md, "Chunk file").
 * Chunks are compressed in one call that knows their length, which is faster than the reference's
 * streams (spec/decisions/0011). Calls are synchronous, so one pair of contexts serves all codecs of
 * a thread.
 */
import { FormatError } from '../../formats/errors.ts';
import { type Codec, compressedRoom } from '../../store/transforms.ts';
import { PipelineError } from '../errors.ts';
import { loadKoffi } from '../os/koffi.node.ts';
import { plainArray, roomFor } from './plain-array.ts';
import { tooLarge, zstdCapacity } from './zstd-frame.ts';

const LIBRARY = 'libzstd.so.1';
/**
 * Level 3, with the tables that it uses for input of unknown length, as the reference does. Those
 * that libzstd chooses for chunks of a known length are slower and hardly better.
 */
const PARAMETERS: readonly (readonly [parameter: number, value: number])[] = [
  [100, 3], // level
  [101, 21], // window: 2 MiB, at most the length of the chunk
  [102, 17], // hash table
  [103, 16], // second hash table
  [104, 1], // searches
  [105, 5], // shortest match
  [107, 2], // strategy: two hash tables
];
const ERROR_MEMORY = -64;
const ERROR_DESTINATION_TOO_SMALL = -70;

/** What we use of libzstd. Results below zero are error codes. */
interface Libzstd {
  /** `plain` as one frame in `output`, which has room for it. @returns length of the frame */
  compress(output: Uint8Array, plain: Uint8Array): number;
  decompress(output: Uint8Array, capacity: number, stored: Uint8Array): number;
  errorName(result: number): string;
}

function loadLibzstd(): Libzstd | undefined {
  const koffi = loadKoffi();
  if (koffi === undefined) return undefined;
  try {
    // Newer Node exports a zstd of its own, which must not answer the library's calls to itself.
    const library = koffi.load(LIBRARY, { deep: true });
    const context = library.func('void* ZSTD_createCCtx()')();
    const decompressContext = library.func('void* ZSTD_createDCtx()')();
    const set = library.func('intptr_t ZSTD_CCtx_setParameter(void*, int, int)');
    const compress = library.func(
      'intptr_t ZSTD_compress2(void*, void*, size_t, const void*, size_t)',
    );
    const decompress = library.func(
      'intptr_t ZSTD_decompressDCtx(void*, void*, size_t, const void*, size_t)',
    );
    for (const [parameter, value] of PARAMETERS) {
      if (set(context, parameter, value) < 0) return undefined;
    }
    return {
      errorName: library.func('const char* ZSTD_getErrorName(intptr_t)'),
      decompress: (output, capacity, stored) =>
        decompress(decompressContext, output, capacity, stored, stored.length),
      compress: (output, plain) => compress(context, output, output.length, plain, plain.length),
    };
  } catch {
    return undefined;
  }
}

let loaded: { readonly codec: Codec | undefined } | undefined;

/** A codec over libzstd, or undefined where koffi or the library is missing. */
export function createNativeZstdCodec(): Codec | undefined {
  loaded ??= { codec: createChecked() };
  return loaded.codec;
}

/** Where calls are mixed up with another zstd in the process, we can do without the library. */
function createChecked(): Codec | undefined {
  const library = loadLibzstd();
  if (library === undefined) return undefined;
  const stored = new Uint8Array(compressedRoom(1));
  const length = library.compress(stored, Uint8Array.of(7));
  const plain = new Uint8Array(2);
  const works = length > 0 && library.decompress(plain, 2, stored.subarray(0, length)) === 1;
  return works && plain[0] === 7 ? createCodec(library) : undefined;
}

function createCodec(library: Libzstd): Codec {
  let scratch = new Uint8Array(0);
  return {
    name: 'zstd',
    compress(plain, output) {
      const bound = compressedRoom(plain.length);
      const room = roomFor(bound, output);
      if (room === undefined && scratch.length < bound) scratch = new Uint8Array(bound);
      const stored = room ?? scratch;
      const length = library.compress(stored, plain);
      if (length < 0) throw compressionFailure(library.errorName(length));
      return room ? stored.subarray(0, length) : stored.slice(0, length);
    },
    decompress(stored, ceiling, output) {
      const capacity = zstdCapacity(stored, ceiling);
      const room = roomFor(ceiling, output);
      const plain = room ?? plainArray(Buffer.allocUnsafeSlow(capacity));
      const length = library.decompress(plain, capacity, stored);
      if (length === plain.length) return plain;
      if (length >= 0) return room ? plain.subarray(0, length) : plain.slice(0, length);
      if (length === ERROR_DESTINATION_TOO_SMALL && capacity === ceiling) {
        throw tooLarge(ceiling);
      }
      if (length === ERROR_MEMORY) throw compressionFailure(library.errorName(length));
      throw new FormatError('zstd', 'frame', 0, library.errorName(length));
    },
  };
}

function compressionFailure(reason: string): PipelineError {
  return new PipelineError('IO', { step: LIBRARY, reason });
}
