/** Two versions of a disk image that differ in scattered pages, the same for the same seed. */
import { createCipheriv } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';

const PAGE = 4096;
const MIB = 1024 * 1024;

export interface ImagePair {
  /** Numbers of the pages that differ, ascending. */
  readonly changed: readonly number[];
  /** Those of them that are zeros in the second version. */
  readonly zeroed: readonly number[];
}

export interface ImagePairOptions {
  /** Of both images, a multiple of the page size of 4096. */
  readonly size: number;
  readonly changedPages: number;
  readonly seed?: number;
}

/** Writes both; a twentieth of the changed pages is zeroed, all other content is noise. */
export function writeImagePair(
  before: string,
  after: string,
  { size, changedPages, seed = 1 }: ImagePairOptions,
): ImagePair {
  const random = generator(seed);
  const noise = keystream(seed);
  const numbers = new Set<number>();
  while (numbers.size < changedPages) numbers.add(Math.floor(random() * (size / PAGE)));
  const changed = [...numbers].sort((a, b) => a - b);
  const zeroed = changed.filter((_, i) => i % 20 === 7);
  const [a, b] = [openSync(before, 'w'), openSync(after, 'w')];
  for (let start = 0; start < size; start += MIB) {
    const bytes = noise(Math.min(MIB, size - start));
    writeSync(a, bytes, 0, bytes.length, start);
    writeSync(b, bytes, 0, bytes.length, start);
  }
  const holes = new Set(zeroed);
  for (const page of changed) {
    const bytes = holes.has(page) ? new Uint8Array(PAGE) : noise(PAGE);
    writeSync(b, bytes, 0, PAGE, page * PAGE);
  }
  closeSync(a);
  closeSync(b);
  return { changed, zeroed };
}

/** Bytes that neither compress nor repeat. */
function keystream(seed: number): (length: number) => Uint8Array {
  const key = Buffer.alloc(16);
  key.writeDoubleLE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return (length) => cipher.update(Buffer.alloc(length));
}

/** Numbers in [0, 1). */
function generator(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
