/**
 * The blocks of a signature of rdiff by their weak sums: a filter of bits that most sums do not pass,
 * and behind it a table with open addressing.
 */
import type { RdiffSignature } from '../../../formats/rdiff-signature.ts';

/** Odd, and near 2^32 divided by the golden ratio. */
const FACTOR = 0x9e3779b1;
const WORD_BITS = 32;
const FEWEST_FILTER_BITS = 17;
const MOST_FILTER_BITS = 28;
/** Bits of the filter for one block. */
const FILTER_LOAD_BITS = 4;
/** Places that are looked at for one sum: signatures made to collide cost no more. */
const MOST_PROBES = 64;

export interface SumFilter {
  readonly bits: Uint8Array;
  /** The bit of a sum is the product with the factor modulo 2^32, shifted to the right by this. */
  readonly shift: number;
  readonly factor: number;
}

export class BlocksBySum {
  readonly filter: SumFilter;
  readonly #signature: RdiffSignature;
  /** Numbers of blocks, from 1. */
  readonly #table: Uint32Array;
  readonly #tableShift: number;

  constructor(signature: RdiffSignature) {
    const { count } = signature;
    const countBits = Math.max(1, Math.ceil(Math.log2(count + 1)));
    const wanted = Math.max(countBits + FILTER_LOAD_BITS, FEWEST_FILTER_BITS);
    const filterBits = Math.min(wanted, MOST_FILTER_BITS);
    const bits = new Uint8Array(2 ** filterBits / 8);
    this.filter = { bits, shift: WORD_BITS - filterBits, factor: FACTOR };
    this.#signature = signature;
    this.#tableShift = WORD_BITS - (countBits + 1);
    this.#table = new Uint32Array(2 ** (countBits + 1));
    for (let block = 0; block < count; block++) this.#add(block);
  }

  /**
   * The block with this content, if any.
   * @param strong the strong sum, asked for if a weak one fits
   * @param preferred a block that is looked at first
   */
  find(weak: number, strong: () => Uint8Array, preferred: number): number | undefined {
    const signature = this.#signature;
    if (preferred < signature.count && signature.weakOf(preferred) === weak) {
      if (signature.hasStrong(preferred, strong())) return preferred;
    }
    let found: Uint8Array | undefined;
    for (let probe = 0, at = this.#placeOf(weak); probe < MOST_PROBES; probe++) {
      const block = this.#table[(at + probe) % this.#table.length] - 1;
      if (block < 0) return undefined;
      if (signature.weakOf(block) !== weak) continue;
      found ??= strong();
      if (signature.hasStrong(block, found)) return block;
    }
    return undefined;
  }

  #add(block: number): void {
    const weak = this.#signature.weakOf(block);
    const bit = Math.imul(weak, FACTOR) >>> this.filter.shift;
    this.filter.bits[bit >>> 3] |= 1 << (bit & 7);
    for (let probe = 0, at = this.#placeOf(weak); probe < MOST_PROBES; probe++) {
      const place = (at + probe) % this.#table.length;
      const other = this.#table[place] - 1;
      if (other < 0) {
        this.#table[place] = block + 1;
        return;
      }
      if (this.#signature.areEqual(other, block)) return;
    }
  }

  #placeOf(weak: number): number {
    return Math.imul(weak, FACTOR) >>> this.#tableShift;
  }
}
