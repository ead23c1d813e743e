/**
 * The question that the chunker asks of each hash (spec/formats/chunker.md, "Cut rule"), without a
 * division. Used by the reference scanner and by the kernel.
 */

/**
 * A question that all hashes with `hash % divisor === divisor - 1` pass, and few others:
 * `(hash + 1) * multiplier <= limit`, in unsigned 32-bit arithmetic.
 */
export interface CutTest {
  readonly divisor: number;
  readonly multiplier: number;
  readonly limit: number;
}

/**
 * The divisor is a power of two times an odd number, and `hash + 1` must be a multiple of both. The
 * greater of them lets the fewer hashes pass: an odd number is tested by multiplying with its inverse
 * modulo 2^32, which takes exactly its multiples to at most 2^32 / odd; a power of two by shifting
 * the bits away that do not matter.
 */
export function createCutTest(divisor: number): CutTest {
  const powerOfTwo = divisor & -divisor;
  const odd = divisor / powerOfTwo;
  if (odd < powerOfTwo) return { divisor, multiplier: 2 ** 32 / powerOfTwo, limit: 0 };
  return { divisor, multiplier: inverse(odd), limit: Math.floor(0xffff_ffff / odd) };
}

/** The number whose product with `odd` is 1 modulo 2^32; each step of Newton's doubles the bits. */
function inverse(odd: number): number {
  let guess = odd;
  for (let i = 0; i < 4; i++) guess = Math.imul(guess, 2 - Math.imul(odd, guess));
  return guess >>> 0;
}
