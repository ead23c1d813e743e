/** Random byte strings with the structure that matters to chunking, compression and holes. */
import type { Random } from './random.ts';

/** Sizes at which chunkers change their mind, for the default chunk sizes. */
const BORDERS = [0, 1, 47, 48, 49, 4096, 16384, 65536, 131072, 262144, 524288];
const WORDS = 'the quick brown fox jumps over a lazy dog while casync cuts and counts'.split(' ');

/** A random size: often near a border, mostly small, never above `most`. */
export function randomSize(random: Random, most: number): number {
  const kind = random.integer(0, 9);
  if (kind < 3) return clamp(random.pick(BORDERS) + random.integer(-2, 2), most);
  if (kind < 7) return random.integer(0, Math.min(most, 5000));
  if (kind < 9) return random.integer(0, Math.min(most, 300_000));
  return random.integer(0, most);
}

function clamp(value: number, most: number): number {
  return Math.max(0, Math.min(most, value));
}

/** Bytes of one kind: noise, text, zeros, one repeated byte, a repeated pattern. */
function uniform(random: Random, size: number): Buffer {
  switch (random.integer(0, 4)) {
    case 0:
      return random.bytes(size);
    case 1:
      return randomText(random, size);
    case 2:
      return Buffer.alloc(size);
    case 3:
      return Buffer.alloc(size, random.integer(1, 255));
    default:
      return Buffer.alloc(size, random.bytes(random.pick([2, 47, 48, 49, 333, 16384])));
  }
}

function randomText(random: Random, size: number): Buffer {
  const lines = Array.from({ length: 64 }, () =>
    Array.from({ length: random.integer(1, 12) }, () => random.pick(WORDS)).join(' '),
  );
  const pieces: string[] = [];
  for (let length = 0; length < size; length += pieces[pieces.length - 1].length) {
    pieces.push(`${random.pick(lines)} ${random.integer(0, 9999)}\n`);
  }
  return Buffer.from(pieces.join('').slice(0, size), 'latin1');
}

/** A blob of `size` bytes: uniform, or a mixture whose parts may come again. */
export function randomBytes(random: Random, size: number): Buffer {
  if (size < 64 || random.chance(0.4)) return uniform(random, size);
  const parts: Buffer[] = [];
  for (let missing = size; missing > 0; missing -= parts[parts.length - 1].length) {
    const again = parts.length > 0 && random.chance(0.3);
    const part = again ? random.pick(parts) : uniform(random, random.integer(1, missing));
    parts.push(part.subarray(0, missing));
  }
  return Buffer.concat(parts);
}

/** A random blob of at most `most` bytes. */
export function randomBlob(random: Random, most = 1_500_000): Buffer {
  return randomBytes(random, randomSize(random, most));
}

/** A later version of a blob: some bytes changed, removed, inserted or moved. */
export function changedBlob(random: Random, blob: Buffer): Buffer {
  let result = Buffer.from(blob);
  for (let i = random.integer(1, 3); i > 0; i--) {
    const at = random.integer(0, result.length);
    const length = random.integer(0, Math.min(20_000, result.length - at));
    const [head, middle, tail] = [
      result.subarray(0, at),
      result.subarray(at, at + length),
      result.subarray(at + length),
    ];
    const inserted = randomBytes(random, random.integer(1, 20_000));
    result = random.pick([
      () => Buffer.concat([head, inserted, middle, tail]),
      () => Buffer.concat([head, tail]),
      () => Buffer.concat([tail, middle, head]),
      () => Buffer.concat([head, inserted, tail]),
    ])();
  }
  return result;
}
