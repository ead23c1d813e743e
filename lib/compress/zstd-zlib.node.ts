/** zstd by node:zlib, which has it from Node 22.15 on. */
import * as zlib from 'node:zlib';
import { FormatError } from '../../formats/errors.ts';
import type { Codec } from '../../store/transforms.ts';
import { plainArray, plainResult } from './plain-array.ts';
import { tooLarge, zstdCapacity } from './zstd-frame.ts';

const PARAMETER_LEVEL = 100;
const PARAMETER_CONTENT_SIZE_FLAG = 200;
const LEVEL = 3;

/** The part of `node:zlib` that the types of Node 20 lack. */
interface ZstdOfNode {
  zstdCompressSync(
    plain: Uint8Array,
    options: { readonly params: Readonly<Record<number, number>> },
  ): Uint8Array;
  zstdDecompressSync(stored: Uint8Array, options: { readonly maxOutputLength: number }): Uint8Array;
}

/** A codec over node:zlib, or undefined where Node is too old for it. */
export function createNodeZstdCodec(): Codec | undefined {
  if (!('zstdCompressSync' in zlib)) return undefined;
  const node = zlib as unknown as ZstdOfNode;
  const params = { [PARAMETER_LEVEL]: LEVEL, [PARAMETER_CONTENT_SIZE_FLAG]: 0 };
  return {
    name: 'zstd',
    compress: (plain) => plainArray(node.zstdCompressSync(plain, { params })),
    decompress(stored, ceiling, output) {
      const capacity = zstdCapacity(stored, ceiling);
      try {
        const plain = node.zstdDecompressSync(stored, { maxOutputLength: Math.max(1, capacity) });
        if (plain.length <= capacity) return plainResult(plain, ceiling, output);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') {
          throw new FormatError('zstd', 'frame', 0, 'decodable data expected');
        }
      }
      throw tooLarge(ceiling);
    },
  };
}
