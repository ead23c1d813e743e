/**
 * Makes a delta of rdiff from a signature and a new file that comes in portions: blocks of the old file
 * are found at any offset of the new one (spec/bridges.md, "rdiff deltas").
 */
import {
  encodeRdiffCopy,
  encodeRdiffDeltaHead,
  encodeRdiffEnd,
  encodeRdiffLiteral,
} from '../../../formats/rdiff-delta.ts';
import type { RdiffSignature } from '../../../formats/rdiff-signature.ts';
import type { WriteDigest } from '../../digest/blake2b.ts';
import { createRollingSum, type RollingSum } from './rolling-sum.ts';
import { BlocksBySum } from './sum-filter.ts';

/** Bytes of the window besides two blocks. */
const ROOM = 1024 * 1024;
const STRONG_LENGTH = 32;

export interface RdiffDeltaCounts {
  /** Bytes that are in the delta. */
  readonly literalBytes: number;
  /** Bytes that come from the old file. */
  readonly copiedBytes: number;
}

export class RdiffDeltaMaker {
  readonly #signature: RdiffSignature;
  readonly #blocks: BlocksBySum;
  readonly #strongSum: WriteDigest;
  readonly #strong = new Uint8Array(STRONG_LENGTH);
  readonly #sum: RollingSum;
  readonly #blockSize: number;
  /** From #literal to #at what no block was found for, from #at to #end what was not looked at. */
  readonly #window: Uint8Array;
  #literal = 0;
  #at = 0;
  #end = 0;
  #isSumTrue = false;
  /** As long as a block. */
  #zeros: Uint8Array | undefined;
  /** A block of the old file that is zeros; -1 if there is none, undefined if nobody has looked. */
  #zeroBlockNumber: number | undefined;
  /** A copy that may go on. */
  #copy = { start: 0, length: 0 };
  #literalBytes = 0;
  #copiedBytes = 0;
  #output: Uint8Array[] = [encodeRdiffDeltaHead()];

  /** @param strongSum the one that the signature names */
  constructor(signature: RdiffSignature, strongSum: WriteDigest) {
    const { blockSize, weakSum } = signature.header;
    this.#signature = signature;
    this.#blocks = new BlocksBySum(signature);
    this.#strongSum = strongSum;
    this.#sum = createRollingSum(weakSum);
    this.#blockSize = blockSize;
    this.#window = new Uint8Array(2 * blockSize + ROOM);
  }

  get counts(): RdiffDeltaCounts {
    return { literalBytes: this.#literalBytes, copiedBytes: this.#copiedBytes };
  }

  /** Takes the next bytes of the new file. */
  feed(bytes: Uint8Array): void {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#end === this.#window.length) this.#makeRoom();
      const part = rest.subarray(0, this.#window.length - this.#end);
      this.#window.set(part, this.#end);
      this.#end += part.length;
      rest = rest.subarray(part.length);
      this.#search();
    }
  }

  /** The same for zeros: where the old file has a block of them, they are not looked at. */
  feedZeros(length: number): void {
    const blockSize = this.#blockSize;
    this.#zeros ??= new Uint8Array(blockSize);
    for (let rest = length; rest > 0; ) {
      const block = this.#at === this.#end && rest >= blockSize ? this.#zeroBlock() : undefined;
      if (block !== undefined) {
        const count = Math.floor(rest / blockSize);
        for (let i = 0; i < count; i++) this.#skipZeros(block);
        rest -= count * blockSize;
        continue;
      }
      // As far as to the end of a block: behind it nothing is left over.
      const missing = blockSize - (this.#end - this.#at);
      const part = Math.min(rest, missing > 0 ? missing : blockSize);
      this.feed(this.#zeros.subarray(0, part));
      rest -= part;
    }
  }

  /** The new file is complete. */
  finish(): void {
    this.#searchRest();
    this.#putLiteral(this.#end);
    this.#putCopy();
    this.#output.push(encodeRdiffEnd());
  }

  /** What there is of the delta; the caller's from now on. */
  takeOutput(): readonly Uint8Array[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  #search(): void {
    const blockSize = this.#blockSize;
    while (this.#end - this.#at >= blockSize) {
      if (!this.#isSumTrue) this.#sum.start(this.#window, this.#at, blockSize);
      this.#isSumTrue = true;
      const last = this.#end - blockSize;
      this.#at = this.#sum.advance(this.#window, this.#at, last, this.#blocks.filter);
      const block = this.#blockHere(blockSize);
      if (block !== undefined) {
        this.#take(block, blockSize);
        continue;
      }
      if (this.#at === last) return;
      this.#sum.roll(this.#window, this.#at);
      this.#at += 1;
    }
  }

  /** Only the last block of the old file can be shorter than the others. */
  #searchRest(): void {
    const block = this.#signature.count - 1;
    if (block < 0 || this.#at === this.#end) return;
    if (this.#end - this.#at >= this.#blockSize) {
      // It was looked at already.
      if (!this.#isSumTrue) return;
      this.#sum.shrink(this.#window[this.#at] ?? 0);
      this.#at += 1;
    } else this.#sum.start(this.#window, this.#at, this.#end - this.#at);
    const weak = this.#signature.weakOf(block);
    for (; this.#at < this.#end; this.#at += 1) {
      const length = this.#end - this.#at;
      if (this.#sum.value === weak && this.#signature.hasStrong(block, this.#strongOf(length))) {
        this.#take(block, length);
        return;
      }
      this.#sum.shrink(this.#window[this.#at] ?? 0);
    }
  }

  #blockHere(length: number): number | undefined {
    const { start, length: copied } = this.#copy;
    const next = Math.ceil((start + copied) / this.#blockSize);
    return this.#blocks.find(this.#sum.value, () => this.#strongOf(length), next);
  }

  #zeroBlock(): number | undefined {
    if (this.#zeroBlockNumber === undefined) {
      const zeros = this.#zeros ?? new Uint8Array(this.#blockSize);
      this.#sum.start(zeros, 0, zeros.length);
      this.#isSumTrue = false;
      const strong = () => {
        this.#strongSum(zeros, this.#strong, 0);
        return this.#strong;
      };
      this.#zeroBlockNumber = this.#blocks.find(this.#sum.value, strong, 0) ?? -1;
    }
    return this.#zeroBlockNumber < 0 ? undefined : this.#zeroBlockNumber;
  }

  /** A block of zeros, which is not in the window. */
  #skipZeros(block: number): void {
    this.#putLiteral(this.#at);
    const next = (this.#copy.start + this.#copy.length) / this.#blockSize;
    const isNext = next < this.#signature.count && this.#signature.areEqual(next, block);
    this.#addCopy((isNext ? next : block) * this.#blockSize, this.#blockSize);
  }

  #strongOf(length: number): Uint8Array {
    this.#strongSum(this.#window.subarray(this.#at, this.#at + length), this.#strong, 0);
    return this.#strong;
  }

  /** A block of the old file is here. */
  #take(block: number, length: number): void {
    this.#putLiteral(this.#at);
    this.#addCopy(block * this.#blockSize, length);
    this.#at += length;
    this.#literal = this.#at;
    this.#isSumTrue = false;
  }

  #addCopy(start: number, length: number): void {
    if (this.#copy.start + this.#copy.length !== start) this.#putCopy();
    if (this.#copy.length === 0) this.#copy = { start, length };
    else this.#copy.length += length;
  }

  #putLiteral(end: number): void {
    if (end === this.#literal) return;
    this.#putCopy();
    const bytes = this.#window.slice(this.#literal, end);
    this.#output.push(encodeRdiffLiteral(bytes.length), bytes);
    this.#literalBytes += bytes.length;
    this.#literal = end;
  }

  #putCopy(): void {
    const { start, length } = this.#copy;
    if (length === 0) return;
    this.#output.push(encodeRdiffCopy(start, length));
    this.#copiedBytes += length;
    this.#copy = { start: start + length, length: 0 };
  }

  #makeRoom(): void {
    this.#putLiteral(this.#at);
    this.#window.copyWithin(0, this.#at, this.#end);
    this.#end -= this.#at;
    this.#at = 0;
    this.#literal = 0;
  }
}
