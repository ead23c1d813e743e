/**
 * Signatures of rdiff (librsync): for each block of a file a weak sum, that rolls, and a strong one. What is in memory are the
 * bytes of the file. Implements spec/bridges.md, "rdiff signatures".
 */
import { readU32Be, writeU32Be } from './big-endian.ts';
import { FormatError, LimitExceeded } from './errors.ts';

export type RdiffStrongSum = 'blake2b-256' | 'md4';
export type RdiffWeakSum = 'rabinkarp' | 'rollsum';

export interface RdiffSignatureHeader {
  readonly strongSum: RdiffStrongSum;
  readonly weakSum: RdiffWeakSum;
  /** Bytes of every block but the last. */
  readonly blockSize: number;
  /** Bytes that are kept of each strong sum. */
  readonly strongLength: number;
}

const HEADER_LENGTH = 12;
/** Larger blocks would have to be in memory. */
const MAX_BLOCK_SIZE = 64 * 1024 * 1024;
/** Bytes of a signature: it is in memory as a whole. */
export const RDIFF_MAX_SIGNATURE_LENGTH = 1024 * 1024 * 1024;

const FORMAT = 'rdiff';
const RECORD = 'signature';
const WEAK_LENGTH = 4;
/** Bytes of whole sums. */
const STRONG_LENGTHS: Readonly<Record<RdiffStrongSum, number>> = { 'blake2b-256': 32, md4: 16 };

const MAGICS: readonly (readonly [number, RdiffStrongSum, RdiffWeakSum])[] = [
  [0x72730136, 'md4', 'rollsum'],
  [0x72730137, 'blake2b-256', 'rollsum'],
  [0x72730146, 'md4', 'rabinkarp'],
  [0x72730147, 'blake2b-256', 'rabinkarp'],
];

/** Bytes of a whole strong sum. */
export function rdiffStrongLength(strongSum: RdiffStrongSum): number {
  return STRONG_LENGTHS[strongSum];
}

/** @throws LimitExceeded if so many blocks are too many */
export function rdiffSignatureLength(
  { strongLength }: RdiffSignatureHeader,
  count: number,
): number {
  const length = HEADER_LENGTH + count * (WEAK_LENGTH + strongLength);
  if (length <= RDIFF_MAX_SIGNATURE_LENGTH) return length;
  const reason = `more than ${RDIFF_MAX_SIGNATURE_LENGTH} bytes; larger blocks make it shorter`;
  throw new LimitExceeded({ step: 'signature', reason });
}

export function encodeRdiffSignatureHeader(header: RdiffSignatureHeader): Uint8Array {
  const magic = MAGICS.find(([, strong, weak]) => {
    return strong === header.strongSum && weak === header.weakSum;
  });
  const bytes = new Uint8Array(HEADER_LENGTH);
  writeU32Be(bytes, 0, magic?.[0] ?? 0);
  writeU32Be(bytes, 4, header.blockSize);
  writeU32Be(bytes, 8, header.strongLength);
  return bytes;
}

/** @param entry room for the weak sum and the strong one, which is cut @param strong the whole sum */
export function encodeRdiffEntry(entry: Uint8Array, weak: number, strong: Uint8Array): void {
  writeU32Be(entry, 0, weak);
  entry.set(strong.subarray(0, entry.length - WEAK_LENGTH), WEAK_LENGTH);
}

/** Whether these are the first bytes of a signature. */
export function isRdiffSignature(head: Uint8Array): boolean {
  return head.length >= 4 && MAGICS.some(([magic]) => magic === readU32Be(head, 0));
}

/** A signature in memory: the bytes of the file. */
export class RdiffSignature {
  readonly header: RdiffSignatureHeader;
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #entryLength: number;

  /** @param bytes of the whole file, kept, not copied @throws FormatError */
  constructor(bytes: Uint8Array) {
    this.header = decodeHeader(bytes);
    this.#bytes = bytes;
    this.#entryLength = WEAK_LENGTH + this.header.strongLength;
    this.count = (bytes.length - HEADER_LENGTH) / this.#entryLength;
    if (!Number.isInteger(this.count)) {
      throw new FormatError(FORMAT, RECORD, bytes.length, 'the file ends within a block');
    }
  }

  weakOf(block: number): number {
    return readU32Be(this.#bytes, this.#at(block));
  }

  /** Whether the strong sum of a block is the beginning of this one. */
  hasStrong(block: number, strong: Uint8Array): boolean {
    const at = this.#at(block) + WEAK_LENGTH;
    for (let i = 0; i < this.header.strongLength; i++) {
      if (this.#bytes[at + i] !== strong[i]) return false;
    }
    return true;
  }

  /** Whether two blocks have the same sums. */
  areEqual(a: number, b: number): boolean {
    const [from, other] = [this.#at(a), this.#at(b)];
    for (let i = 0; i < this.#entryLength; i++) {
      if (this.#bytes[from + i] !== this.#bytes[other + i]) return false;
    }
    return true;
  }

  #at(block: number): number {
    return HEADER_LENGTH + block * this.#entryLength;
  }
}

function decodeHeader(bytes: Uint8Array): RdiffSignatureHeader {
  if (bytes.length < HEADER_LENGTH) {
    throw new FormatError(FORMAT, RECORD, bytes.length, 'the file ends in its header');
  }
  const magic = readU32Be(bytes, 0);
  const found = MAGICS.find(([known]) => known === magic);
  if (found === undefined) throw new FormatError(FORMAT, RECORD, 0, 'a known magic expected');
  const [, strongSum, weakSum] = found;
  const [blockSize, strongLength] = [readU32Be(bytes, 4), readU32Be(bytes, 8)];
  if (blockSize < 1 || blockSize > MAX_BLOCK_SIZE) {
    const expectation = `blocks of 1 to ${MAX_BLOCK_SIZE} bytes expected`;
    throw new FormatError(FORMAT, RECORD, 4, expectation);
  }
  const most = STRONG_LENGTHS[strongSum];
  if (strongLength < 1 || strongLength > most) {
    throw new FormatError(FORMAT, RECORD, 8, `strong sums of 1 to ${most} bytes expected`);
  }
  return { strongSum, weakSum, blockSize, strongLength };
}
