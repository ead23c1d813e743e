/**
 * zstd by the system's libzstd: the fastest implementation, and the one whose frames equal the
 * reference's (spec/formats/castr.md, "Chunk file"). Its calls are synchronous, so one pair of
 * contexts serves all codecs of a thread.
 */
import { FormatError } from '../../formats/errors.ts';
import type { Codec } from '../../store/transforms.ts';
import { PipelineError } from '../errors.ts';
import { loadKoffi } from '../os/koffi.node.ts';
import { plainArray, roomFor } from './plain-array.ts';
import { tooLarge, zstdCapacity } from './zstd-frame.ts';

const LIBRARY = 'libzstd.so.1';
const LEVEL = 3;
const PARAMETER_LEVEL = 100;
const PARAMETER_CONTENT_SIZE_FLAG = 200;
const RESET_SESSION = 1;
const CONTINUE = 0;
const END = 2;
const ERROR_MEMORY = -64;
const ERROR_DESTINATION_TOO_SMALL = -70;

/** What we use of libzstd. Results below zero are error codes. */
interface Libzstd {
  compressBound(size: number): number;
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
    const buffer = koffi.struct({ address: 'void*', size: 'size_t', offset: 'size_t' });
    const inOut = koffi.inout(koffi.pointer(buffer));
    const context = library.func('void* ZSTD_createCCtx()')();
    const decompressContext = library.func('void* ZSTD_createDCtx()')();
    const set = library.func('intptr_t ZSTD_CCtx_setParameter(void*, int, int)');
    const reset = library.func('intptr_t ZSTD_CCtx_reset(void*, int)');
    const step = library.func('ZSTD_compressStream2', 'intptr_t', ['void*', inOut, inOut, 'int']);
    const decompress = library.func(
      'intptr_t ZSTD_decompressDCtx(void*, _Out_ void*, size_t, const void*, size_t)',
    );
    set(context, PARAMETER_LEVEL, LEVEL);
    set(context, PARAMETER_CONTENT_SIZE_FLAG, 0);
    return {
      compressBound: library.func('size_t ZSTD_compressBound(size_t)'),
      errorName: library.func('const char* ZSTD_getErrorName(intptr_t)'),
      decompress: (output, capacity, stored) =>
        decompress(decompressContext, output, capacity, stored, stored.length),
      compress(output, plain) {
        reset(context, RESET_SESSION);
        const out = { address: output, size: output.length, offset: 0 };
        // The end comes in a call of its own: libzstd shall not know the size beforehand.
        const begun = step(
          context,
          out,
          { address: plain, size: plain.length, offset: 0 },
          CONTINUE,
        );
        if (begun < 0) return begun;
        out.address = output;
        const ended = step(context, out, { address: plain, size: 0, offset: 0 }, END);
        return ended < 0 ? ended : out.offset;
      },
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
  const stored = new Uint8Array(library.compressBound(1));
  const length = library.compress(stored, Uint8Array.of(7));
  const plain = new Uint8Array(2);
  const works = length > 0 && library.decompress(plain, 2, stored.subarray(0, length)) === 1;
  return works && plain[0] === 7 ? createCodec(library) : undefined;
}

function createCodec(library: Libzstd): Codec {
  let scratch = new Uint8Array(0);
  return {
    name: 'zstd',
    compress(plain) {
      const bound = library.compressBound(plain.length);
      if (scratch.length < bound) scratch = new Uint8Array(bound);
      const length = library.compress(scratch, plain);
      if (length < 0) throw compressionFailure(library.errorName(length));
      return scratch.slice(0, length);
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
