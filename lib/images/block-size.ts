/** The block size that fits an image (spec/images.md, "Block size"). */

const GIB = 2 ** 30;

/** Larger images have larger blocks, so that a map stays below some hundred MiB. */
const STEPS: readonly (readonly [size: number, blockSize: number])[] = [
  [32 * GIB, 4096],
  [256 * GIB, 16_384],
  [1024 * GIB, 32_768],
];
const LARGEST = 65_536;

/** @param size bytes of the image; undefined for a stream */
export function blockSizeFor(size: number | undefined): number {
  return STEPS.find(([limit]) => (size ?? 0) <= limit)?.[1] ?? LARGEST;
}
