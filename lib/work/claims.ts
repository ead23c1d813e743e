/**
 * Which chunks have been taken on lately, known to all threads: a chunk that comes twice is stored
 * once, also while its first copy is still on its way. Forgetting is harmless, so the table is small.
 */

/** Words of 32 bits in a digest. */
const DIGEST_WORDS = 8;
/** Digests that share a lock; the oldest of them is forgotten first. */
const DIGESTS = 15;
/** Lock, number of digests that have come, the digests. */
const BUCKET_WORDS = 2 + DIGESTS * DIGEST_WORDS;
const BUCKETS = 4096;

const FREE = 0;
const LOCKED = 1;

/** The memory of an empty table, to be shared with all threads. */
export function createClaimsMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(BUCKETS * BUCKET_WORDS * Int32Array.BYTES_PER_ELEMENT);
}

export class Claims {
  readonly #words: Int32Array;

  /** @param memory from {@link createClaimsMemory} */
  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  /**
   * Takes a chunk on.
   * @param digest 32 bytes at a multiple of 4
   * @returns false if somebody has done so before: he stores it, or all fails
   */
  claim(digest: Uint8Array): boolean {
    const wanted = new Int32Array(digest.buffer, digest.byteOffset, DIGEST_WORDS);
    const words = this.#words;
    const bucket = ((wanted[0] >>> 0) % BUCKETS) * BUCKET_WORDS;
    // Held for nanoseconds only, so that waiting costs less than sleeping.
    while (Atomics.compareExchange(words, bucket, FREE, LOCKED) !== FREE);
    const count = words[bucket + 1];
    const isNew = !this.#holds(bucket + 2, Math.min(count, DIGESTS), wanted);
    if (isNew) {
      words.set(wanted, bucket + 2 + (count % DIGESTS) * DIGEST_WORDS);
      words[bucket + 1] = count === 2 * DIGESTS - 1 ? DIGESTS : count + 1;
    }
    Atomics.store(words, bucket, FREE);
    return isNew;
  }

  #holds(first: number, count: number, wanted: Int32Array): boolean {
    for (let at = first; at < first + count * DIGEST_WORDS; at += DIGEST_WORDS) {
      if (wanted.every((word, i) => this.#words[at + i] === word)) return true;
    }
    return false;
  }
}
