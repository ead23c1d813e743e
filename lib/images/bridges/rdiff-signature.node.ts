/** Signatures of rdiff, made of images and read from files (spec/bridges.md, "rdiff signatures"). */
import { about, FormatError, LimitExceeded } from '../../../formats/errors.ts';
import {
  encodeRdiffEntry,
  encodeRdiffSignatureHeader,
  isRdiffSignature,
  RDIFF_MAX_SIGNATURE_LENGTH,
  RdiffSignature,
  type RdiffSignatureHeader,
  type RdiffStrongSum,
  type RdiffWeakSum,
  rdiffSignatureLength,
  rdiffStrongLength,
} from '../../../formats/rdiff-signature.ts';
import { createBlake2b256, type WriteDigest } from '../../digest/blake2b.ts';
import { createMd4 } from '../../digest/md4.ts';
import { PipelineError } from '../../errors.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import { progressOf } from '../../progress.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import { type OpenedImage, openImage } from '../source/open-image.node.ts';
import { type BlockPortion, BlockScan } from '../source/scan-blocks.node.ts';
import { watchSource } from '../source/source-state.node.ts';
import type { BridgeWork } from './bridge-work.ts';
import { piecesOfImage } from './image-pieces.node.ts';
import { createRollingSum, type RollingSum, weakSumOf } from './rolling-sum.ts';

/** Those of rdiff: the root of the size, in whole steps. */
const SMALLEST_BLOCK = 256;
const BLOCK_STEP = 128;
const BLOCK_OF_STREAM = 2048;
const LONGEST_DIGEST = 32;
const SHORT_SIGNATURE = 65_536;

/** Blocks that would need memory of several times their size. */
const LARGEST_BLOCK = 16 * 1024 * 1024;

/** The implementation of a strong sum. */
export function strongSumOf(name: RdiffStrongSum): WriteDigest {
  return name === 'md4' ? createMd4() : createBlake2b256();
}

/** @param size bytes of the image; undefined for a stream */
export function rdiffBlockSizeFor(size: number | undefined): number {
  if (size === undefined) return BLOCK_OF_STREAM;
  const root = Math.floor(Math.sqrt(size) / BLOCK_STEP) * BLOCK_STEP;
  return Math.max(SMALLEST_BLOCK, root);
}

export interface RdiffSignatureOptions {
  readonly strongSum: RdiffStrongSum;
  readonly weakSum: RdiffWeakSum;
  readonly blockSize: number;
}

/** The signature in parts, valid until the next is taken. @throws what reading throws */
export async function* makeRdiffSignature(
  image: ImageSource,
  { strongSum, weakSum, blockSize }: RdiffSignatureOptions,
  { threadCount, signal, onProgress }: BridgeWork,
): AsyncGenerator<Uint8Array> {
  if (blockSize > LARGEST_BLOCK) {
    const reason = `Blocks of signatures have at most ${LARGEST_BLOCK} bytes.`;
    throw new PipelineError('USAGE', { reason });
  }
  const header = { strongSum, weakSum, blockSize, strongLength: rdiffStrongLength(strongSum) };
  yield encodeRdiffSignatureHeader(header);
  const entries = new EntryEncoder(header);
  // MD4 is made here; the digest of the scan is then one that costs little.
  const digest = strongSum === 'md4' ? 'sha256' : strongSum;
  const scan = new BlockScan({ blockSize, digest, threadCount, ...(signal ? { signal } : {}) });
  try {
    for await (const portion of scan.scan(image)) {
      rdiffSignatureLength(header, portion.first + portion.count);
      const entriesOf = entries.encode(portion);
      onProgress?.(progressOf('export', portion.start + portion.length, image.size));
      portion.release();
      yield entriesOf;
    }
  } finally {
    await scan.close();
  }
}

class EntryEncoder {
  readonly #header: RdiffSignatureHeader;
  readonly #sum: RollingSum;
  readonly #md4: WriteDigest | undefined;
  readonly #strong = new Uint8Array(LONGEST_DIGEST);
  /** Of a whole block of zeros. */
  #zeroEntry: Uint8Array | undefined;

  constructor(header: RdiffSignatureHeader) {
    this.#header = header;
    this.#sum = createRollingSum(header.weakSum);
    this.#md4 = header.strongSum === 'md4' ? strongSumOf('md4') : undefined;
  }

  encode(portion: BlockPortion): Uint8Array {
    const { blockSize, strongLength } = this.#header;
    const entryLength = 4 + strongLength;
    const entries = new Uint8Array(portion.count * entryLength);
    const digests = portion.digestsOf(portion);
    for (let i = 0; i < portion.count; i++) {
      const length = Math.min(blockSize, portion.length - i * blockSize);
      const entry = entries.subarray(i * entryLength, (i + 1) * entryLength);
      const digest = digests.subarray(i * LONGEST_DIGEST, (i + 1) * LONGEST_DIGEST);
      if (portion.hasBytes) {
        const bytes = portion.bytesOf({ first: portion.first + i, count: 1 });
        this.#encodeBlock(entry, bytes, digest);
      } else if (length < blockSize) this.#encodeBlock(entry, new Uint8Array(length), digest);
      else entry.set(this.#entryOfZeros(entryLength, digest));
    }
    return entries;
  }

  #encodeBlock(entry: Uint8Array, bytes: Uint8Array, digest: Uint8Array): void {
    this.#md4?.(bytes, this.#strong, 0);
    const strong = this.#md4 === undefined ? digest : this.#strong;
    encodeRdiffEntry(entry, weakSumOf(this.#sum, bytes), strong);
  }

  #entryOfZeros(entryLength: number, digest: Uint8Array): Uint8Array {
    if (this.#zeroEntry === undefined) {
      this.#zeroEntry = new Uint8Array(entryLength);
      this.#encodeBlock(this.#zeroEntry, new Uint8Array(this.#header.blockSize), digest);
    }
    return this.#zeroEntry;
  }
}

/** A file that is a signature. @throws FormatError, LimitExceeded named after it, and what reading throws */
export function readRdiffSignature(
  file: OpenedImage,
  signal?: AbortSignal,
): Promise<RdiffSignature> {
  return collectRdiffSignature(file.label, piecesOfImage(file.source(), signal), file.size);
}

/**
 * A signature in memory.
 * @param expected bytes of it, as far as known: there are no two copies then
 * @throws FormatError, LimitExceeded named after the label
 */
async function collectRdiffSignature(
  label: string,
  parts: AsyncIterable<Uint8Array>,
  expected = SHORT_SIGNATURE,
): Promise<RdiffSignature> {
  let bytes = new Uint8Array(Math.min(expected, RDIFF_MAX_SIGNATURE_LENGTH));
  let length = 0;
  for await (const part of parts) {
    const end = length + part.length;
    if (end > RDIFF_MAX_SIGNATURE_LENGTH) {
      const reason = `more than ${RDIFF_MAX_SIGNATURE_LENGTH} bytes`;
      throw new LimitExceeded({ subject: label, step: 'read signature', reason });
    }
    if (end > bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * length));
      larger.set(bytes.subarray(0, length));
      bytes = larger;
    }
    bytes.set(part, length);
    length = end;
  }
  try {
    return new RdiffSignature(bytes.subarray(0, length));
  } catch (error) {
    throw error instanceof FormatError ? about(label, error) : error;
  }
}

/**
 * The signature to make a delta from: a file that is one, or the one of an old file.
 * @throws FormatError, LimitExceeded, and what reading throws
 */
export async function readRdiffBase(
  path: string,
  { blockSize }: { readonly blockSize?: number },
  work: BridgeWork,
): Promise<RdiffSignature> {
  const base = openImage(path);
  try {
    const head = new Uint8Array(4);
    if (base.descriptor !== undefined) readHead(base.descriptor, head, base.label);
    if (base.descriptor === undefined || isRdiffSignature(head)) {
      return await readRdiffSignature(base, work.signal);
    }
    const options = {
      strongSum: 'blake2b-256',
      weakSum: 'rabinkarp',
      blockSize: blockSize ?? rdiffBlockSizeFor(base.size),
    } as const;
    const { threadCount, signal } = work;
    const quiet = { threadCount, ...(signal ? { signal } : {}) };
    const checkBase = await watchSource(base, 'export');
    const parts = makeRdiffSignature(base.source(), options, quiet);
    const count = Math.ceil((base.size ?? 0) / options.blockSize);
    const strongLength = rdiffStrongLength(options.strongSum);
    const expected = rdiffSignatureLength({ ...options, strongLength }, count);
    const signature = await collectRdiffSignature(base.label, parts, expected);
    checkBase();
    return signature;
  } finally {
    base.close();
  }
}

function readHead(descriptor: number, head: Uint8Array, label: string): void {
  try {
    readFully(descriptor, head, 0);
  } catch (error) {
    throw systemFailure('read', error, label);
  }
}
