/**
 * Content-defined chunk ends: casync's buzhash, the reference scanner
 * (spec/formats/chunker.md, "Rolling hash", "Discriminator", "Cut rule").
 */
import type { ChunkSizes } from '../../formats/chunk-sizes.ts';
import { BUZHASH_TABLE } from './buzhash-table.ts';
import { discriminator } from './discriminator.ts';
import type { ChunkScanner } from './scanner.ts';

/** Bytes that the rolling hash looks at. */
const BUZHASH_WINDOW = 48;

/** Substitution values of leaving bytes: rotated as often as the byte was carried along. */
const LEAVING_TABLE = BUZHASH_TABLE.map((value) => rotateLeft(value, BUZHASH_WINDOW % 32));

function rotateLeft(value: number, count: number): number {
  return (value << count) | (value >>> (32 - count));
}

/** The rolling hash and the question that is asked of it at each byte. */
interface RollingHash {
  value: number;
  readonly divisor: number;
  readonly inverse: number;
  readonly limit: number;
}

/**
 * Division is slow, so the scan first asks a question that each hash passes where
 * `hash % divisor === divisor - 1`, and few others: with the odd part of the divisor,
 * `(hash + 1) * inverse` is at most `limit` exactly where `hash + 1` is a multiple of it
 * (modulo 2^32).
 */
function createRollingHash(divisor: number): RollingHash {
  const oddPart = divisor / (divisor & -divisor);
  let inverse = oddPart;
  for (let i = 0; i < 4; i++) inverse = Math.imul(inverse, 2 - Math.imul(oddPart, inverse));
  return { value: 0, divisor, inverse, limit: Math.floor(0xffff_ffff / oddPart) };
}

function matches({ value, divisor }: RollingHash): boolean {
  return (value >>> 0) % divisor === divisor - 1;
}

/**
 * Rolls on to the next match in `from .. to`, a range whose windows lie in `bytes`.
 * One function for all scanners, with tables of its own and integer types spelled out: only so does
 * V8 compile it without bounds checks on the tables, also in the bundled program (twice the speed).
 * @returns offset behind the matching byte, or -1
 */
const rollInside = (() => {
  const entering = BUZHASH_TABLE.slice();
  const leaving = LEAVING_TABLE.slice();

  return (rolling: RollingHash, bytes: Uint8Array, from: number, to: number): number => {
    const inverse = rolling.inverse | 0;
    const limit = rolling.limit >>> 0;
    const divisor = rolling.divisor >>> 0;
    let hash = rolling.value | 0;
    for (let i = from; i < to; i++) {
      const change = leaving[bytes[i - BUZHASH_WINDOW]] ^ entering[bytes[i]];
      hash = ((hash << 1) | (hash >>> 31)) ^ change;
      if (Math.imul((hash + 1) | 0, inverse) >>> 0 > limit) continue;
      if ((hash >>> 0) % divisor !== divisor - 1) continue;
      rolling.value = hash;
      return i + 1;
    }
    rolling.value = hash;
    return -1;
  };
})();

/** The scanner for chunk sizes that are not all equal. */
export function createBuzhashScanner(chunkSizes: ChunkSizes): ChunkScanner {
  const { max } = chunkSizes;
  const rolling = createRollingHash(discriminator(chunkSizes));
  /** Length at which the hash is asked first. */
  const first = Math.max(chunkSizes.min, BUZHASH_WINDOW);
  /** Bytes at the start of each chunk that no hash will see. */
  const unhashed = first - BUZHASH_WINDOW;

  /** The last bytes of earlier calls, oldest first; valid where the chunk has that many. */
  const history = new Uint8Array(BUZHASH_WINDOW);
  /** Bytes of the current chunk in earlier calls. */
  let scanned = 0;

  /** Like rollInside, for the first bytes of a call, whose windows begin in earlier calls. */
  function rollFromHistory(bytes: Uint8Array, from: number, to: number): number {
    for (let i = from; i < to; i++) {
      const change = LEAVING_TABLE[history[i]] ^ BUZHASH_TABLE[bytes[i]];
      rolling.value = rotateLeft(rolling.value, 1) ^ change;
      if (matches(rolling)) return i + 1;
    }
    return -1;
  }

  /** Hashes what belongs to the first window of the chunk. */
  function fillWindow(bytes: Uint8Array): void {
    const end = Math.min(bytes.length, first - scanned);
    for (let i = Math.max(0, unhashed - scanned); i < end; i++) {
      rolling.value = rotateLeft(rolling.value, 1) ^ BUZHASH_TABLE[bytes[i]];
    }
  }

  function findCut(bytes: Uint8Array): number {
    let next = 0;
    if (scanned < first) {
      fillWindow(bytes);
      next = first - scanned;
      if (bytes.length < next) return -1;
      if (first >= max || matches(rolling)) return next;
    }
    const end = Math.min(bytes.length, max - scanned);
    const middle = Math.min(Math.max(next, BUZHASH_WINDOW), end);
    let cut = rollFromHistory(bytes, next, middle);
    if (cut < 0) cut = rollInside(rolling, bytes, middle, end);
    return cut < 0 && scanned + end === max ? end : cut;
  }

  function remember(bytes: Uint8Array): void {
    const { length } = bytes;
    scanned += length;
    if (length < BUZHASH_WINDOW) history.copyWithin(0, length);
    history.set(bytes.subarray(-BUZHASH_WINDOW), Math.max(0, BUZHASH_WINDOW - length));
  }

  function reset(): void {
    scanned = 0;
    rolling.value = 0;
  }

  return {
    scan(bytes) {
      const cut = findCut(bytes);
      if (cut < 0) remember(bytes);
      else reset();
      return cut;
    },
    reset,
  };
}
