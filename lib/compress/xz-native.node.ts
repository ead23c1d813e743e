/**
 * xz by the system's liblzma, with the parameters of the reference: the streaming encoder, because
 * the one-shot encoder writes sizes into the block header (spec/formats/castr.md, "Chunk file").
 */
import { FormatError, LimitExceeded } from '../../formats/errors.ts';
import type { Codec } from '../../store/transforms.ts';
import { PipelineError } from '../errors.ts';
import { loadKoffi } from '../os/koffi.node.ts';
import { plainArray, roomFor } from './plain-array.ts';
import { xzPlainSize } from './xz-stream.ts';

const LIBRARY = 'liblzma.so.5';
const PRESET = 6;
const CHECK_CRC64 = 4;
const FINISH = 3;
const OK = 0;
const STREAM_END = 1;
const MEMORY_ERROR = 5;
const MEMORY_LIMIT_ERROR = 6;
/** Enough for a dictionary as large as the largest chunk. */
const MEMORY_LIMIT = 160 * 1024 * 1024;

/** What we use of liblzma. Results are its return codes. */
interface Liblzma {
  bound(size: number): number;
  /** `plain` as one stream in `output`, which has room for it: return code and length. */
  compress(
    output: Uint8Array,
    plain: Uint8Array,
  ): { readonly result: number; readonly length: number };
  decompress(output: Uint8Array, stored: Uint8Array): number;
}

function loadLiblzma(): Liblzma | undefined {
  const koffi = loadKoffi();
  if (koffi === undefined) return undefined;
  try {
    const library = koffi.load(LIBRARY, { deep: true });
    const lzmaStream = koffi.struct({
      nextIn: 'const void*',
      availableIn: 'size_t',
      totalIn: 'uint64_t',
      nextOut: 'void*',
      availableOut: 'size_t',
      totalOut: 'uint64_t',
      allocator: 'void*',
      internal: 'void*',
      reservedPointers: koffi.array('void*', 4),
      reservedPositions: koffi.array('uint64_t', 2),
      reservedSizes: koffi.array('size_t', 2),
      reservedEnums: koffi.array('int', 2),
    });
    const inOut = koffi.inout(koffi.pointer(lzmaStream));
    const begin = library.func('lzma_easy_encoder', 'int', [inOut, 'uint32_t', 'int']);
    const code = library.func('lzma_code', 'int', [inOut, 'int']);
    const decode = library.func(
      'int lzma_stream_buffer_decode(_Inout_ uint64_t*, uint32_t, void*, const void*, ' +
        '_Inout_ size_t*, size_t, _Out_ void*, _Inout_ size_t*, size_t)',
    );
    const stream = {
      nextIn: null as Uint8Array | null,
      availableIn: 0,
      totalIn: 0,
      nextOut: null as Uint8Array | null,
      availableOut: 0,
      totalOut: 0,
      allocator: null,
      // Keeps the encoder's large tables from one stream to the next.
      internal: null,
      reservedPointers: [null, null, null, null],
      reservedPositions: [0, 0],
      reservedSizes: [0, 0],
      reservedEnums: [0, 0],
    };
    return {
      bound: library.func('size_t lzma_stream_buffer_bound(size_t)'),
      compress(output, plain) {
        stream.nextIn = null;
        stream.nextOut = null;
        const begun = begin(stream, PRESET, CHECK_CRC64);
        if (begun !== OK) return { result: begun, length: 0 };
        stream.nextIn = plain;
        stream.availableIn = plain.length;
        stream.nextOut = output;
        stream.availableOut = output.length;
        const result = code(stream, FINISH);
        return { result, length: output.length - Number(stream.availableOut) };
      },
      decompress: (output, stored) =>
        decode([MEMORY_LIMIT], 0, null, stored, [0], stored.length, output, [0], output.length),
    };
  } catch {
    return undefined;
  }
}

let loaded: { readonly library: Liblzma | undefined } | undefined;

/** A codec over liblzma, or undefined where koffi or the library is missing. */
export function createNativeXzCodec(): Codec | undefined {
  loaded ??= { library: loadLiblzma() };
  const { library } = loaded;
  if (library === undefined) return undefined;
  let scratch = new Uint8Array(0);
  return {
    name: 'xz',
    compress(plain) {
      const bound = library.bound(plain.length);
      if (scratch.length < bound) scratch = new Uint8Array(bound);
      const { result, length } = library.compress(scratch, plain);
      if (result === STREAM_END) return scratch.slice(0, length);
      throw new PipelineError('IO', { step: LIBRARY, reason: `error ${result}` });
    },
    decompress(stored, ceiling, output) {
      const size = xzPlainSize(stored, ceiling);
      const room = roomFor(ceiling, output)?.subarray(0, size);
      const plain = room ?? plainArray(Buffer.allocUnsafeSlow(size));
      const result = library.decompress(plain, stored);
      if (result === OK) return plain;
      if (result === MEMORY_LIMIT_ERROR) {
        throw new LimitExceeded({ step: 'decompress', reason: 'dictionary is too large' });
      }
      if (result === MEMORY_ERROR) {
        throw new PipelineError('IO', { step: LIBRARY, reason: 'Cannot allocate memory' });
      }
      throw new FormatError('xz', 'stream', 0, 'decodable data expected');
    },
  };
}
