/** zstd as WebAssembly: the implementation that runs everywhere. Loaded on first use. */
import { FormatError } from '../../formats/errors.ts';
import type { Codec } from '../../store/transforms.ts';
import { plainArray, plainResult } from './plain-array.ts';
import { tooLarge, zstdCapacity } from './zstd-frame.ts';

const LEVEL = 3;

type WasmZstd = typeof import('@foxglove/wasm-zstd');

let loading: Promise<WasmZstd> | undefined;

async function load(): Promise<WasmZstd> {
  const wasm = await import('@foxglove/wasm-zstd');
  await wasm.isLoaded;
  return wasm;
}

function loadOnce(): Promise<WasmZstd> {
  loading ??= load();
  return loading;
}

/**
 * A codec over WebAssembly. Its frames state their content size. It cannot tell a frame that is
 * damaged from one that is larger than the ceiling where only decoding shows it, and calls both
 * LimitExceeded then.
 */
export function createPortableZstdCodec(): Codec {
  return {
    name: 'zstd',
    async compress(plain) {
      const wasm = await loadOnce();
      return plainArray(wasm.compress(plain, LEVEL));
    },
    async decompress(stored, ceiling, output) {
      const capacity = zstdCapacity(stored, ceiling);
      const wasm = await loadOnce();
      try {
        return plainResult(wasm.decompress(stored, capacity), ceiling, output);
      } catch {
        if (capacity === ceiling) throw tooLarge(ceiling);
        throw new FormatError('zstd', 'frame', 0, 'decodable data expected');
      }
    },
  };
}
