/**
 * The package fastcdc-wasm, and what it does built from our frame. It is another kind of FastCDC: with
 * 31-bit gear values, a hash that is shifted to the right, masks of the lowest bits, the matching byte
 * inside its chunk, and a normal size that is smaller than the average.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { get_chunks } from 'fastcdc-wasm';
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';
import { normalisedCut } from '../../../lib/chunking/fastcdc-frame.ts';

/** The first two gear values, as they stand in the package's binary. */
const FIRST_VALUES = '78c0955c89894022';

/** The package's gear values, from its own binary, where they follow each other in one piece. */
function readGear(): Uint32Array {
  const file = createRequire(import.meta.url).resolve('fastcdc-wasm/fastcdc_wasm_bg.wasm');
  const binary = readFileSync(file);
  const offset = binary.indexOf(Buffer.from(FIRST_VALUES, 'hex'));
  return new Uint32Array(Uint8Array.from(binary.subarray(offset, offset + 1024)).buffer);
}

const GEAR = readGear();

/** Ends of all chunks as the package finds them; it needs sizes of at least 64, 256 and 1024. */
export function packageEnds(bytes: Uint8Array, { min, avg, max }: ChunkSizes): readonly number[] {
  // It answers with the starts and the length, and writes to what it is given.
  return Array.from(get_chunks(bytes.slice(), min, avg, max)).slice(1);
}

/** Length of the first chunk by the package's rule, in our frame. */
export function otherLength(bytes: Uint8Array, { min, avg, max }: ChunkSizes): number {
  const bits = Math.round(Math.log2(avg));
  const frame = {
    min,
    normal: avg - Math.min(avg, min + Math.ceil(min / 2)),
    max,
    early: 2 ** (bits + 1) - 1,
    late: 2 ** (bits - 1) - 1,
  };
  return normalisedCut(bytes, frame, (all, from, to, mask) => {
    let hash = 0;
    for (let i = min; i < to; i++) {
      hash = ((hash >>> 1) + GEAR[all[i]]) >>> 0;
      if (i >= from && (hash & mask) === 0) return i + 1;
    }
    return -1;
  });
}
