/**
 * The scan kernel: the *.as.ts files over a memory that holds the data, so that no byte is copied
 * (decision 0010). Used by all threads of the pipeline, each with an instance of its own.
 */
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';
import { BUZHASH_WINDOW, createBuzhashScanner, leavingTable } from '../buzhash.ts';
import { BUZHASH_TABLE } from '../buzhash-table.ts';
import { createCutTest } from '../cut-test.ts';
import { discriminator } from '../discriminator.ts';
import { GEAR_TABLE } from '../fastcdc-table.ts';
import type { ChunkScanner } from '../scanner.ts';
import { SCAN_WASM } from './scan-wasm.ts';

/** Bytes at the begin of the memory that belong to the kernel. */
export const KERNEL_BYTES = 65536;

/** Where the *.as.ts files expect the tables. */
const ENTERING_ADDRESS = 1024;
const LEAVING_ADDRESS = 2048;
const GEAR_ADDRESS = 3072;

/** Addresses and lengths are unsigned; see buzhash.as.ts. */
type FirstChunk = (
  ...of: [
    chunk: number,
    length: number,
    first: number,
    max: number,
    divisor: number,
    multiplier: number,
    limit: number,
  ]
) => number;

/** Addresses and hashes are unsigned; see fastcdc.as.ts. */
type FindUpTo = (from: number, to: number, limit: number, start: number) => number;

export interface ScanKernel {
  /** The bytes that the kernel can cut. */
  readonly buffer: SharedArrayBuffer;
  readonly firstChunk: FirstChunk;
  readonly findUpTo: FindUpTo;
}

let compiled: WebAssembly.Module | undefined;

/**
 * Takes less than a millisecond. Any number of kernels, in any threads, can share one memory: all of
 * them write the same tables.
 * @param memory its first {@link KERNEL_BYTES} bytes belong to the kernels from now on
 */
export function createScanKernel(memory: WebAssembly.Memory): ScanKernel {
  const { buffer } = memory;
  new Int32Array(buffer, ENTERING_ADDRESS, 256).set(BUZHASH_TABLE);
  new Int32Array(buffer, LEAVING_ADDRESS, 256).set(leavingTable());
  new Int32Array(buffer, GEAR_ADDRESS, 256).set(GEAR_TABLE);
  compiled ??= new WebAssembly.Module(
    Uint8Array.from(atob(SCAN_WASM), (letter) => letter.charCodeAt(0)),
  );
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  return {
    buffer,
    firstChunk: exports.firstChunk as FirstChunk,
    findUpTo: exports.findUpTo as FindUpTo,
  };
}

/** Cuts bytes in the memory of the kernel in place; all others are cut by the reference. */
export function createKernelScanner(kernel: ScanKernel, chunkSizes: ChunkSizes): ChunkScanner {
  const { buffer, firstChunk } = kernel;
  const { max } = chunkSizes;
  const { divisor, multiplier, limit } = createCutTest(discriminator(chunkSizes));
  const reference = createBuzhashScanner(chunkSizes);
  const first = Math.max(chunkSizes.min, BUZHASH_WINDOW);
  if (first >= max) return reference;

  return {
    firstChunk(bytes) {
      if (bytes.buffer !== buffer) return reference.firstChunk(bytes);
      const { byteOffset, length } = bytes;
      return firstChunk(byteOffset, length, first, max, divisor, multiplier, limit);
    },
  };
}
