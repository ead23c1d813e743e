/**
 * Deltas that bmaptool can copy: a sparse file that has the changed blocks in their places, and a block
 * map that says which these are (spec/formats/delta.md, "Sparse form"). Holes say nothing: what counts is
 * the map.
 */
import { createHash, type Hash } from 'node:crypto';
import { ftruncateSync } from 'node:fs';
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import {
  bmapCount,
  encodeBmapHead,
  encodeBmapRange,
  encodeBmapTail,
} from '../../../formats/bmap.ts';
import { hexOf } from '../../../formats/bytes.ts';
import type { DeltaEnd, DeltaHeader, ImageVersion } from '../../../formats/delta.ts';
import { NEW, OLD } from '../../../formats/delta-blocks.ts';
import { about } from '../../../formats/errors.ts';
import { rootOf } from '../../../formats/image-root.ts';
import { type DurableFile, openDurableFile } from '../../../store/backends/durable-write.node.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { PipelineError } from '../../errors.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import { writeFullySync } from '../../os/write.node.ts';
import { ZeroDigests } from '../zero-digests.ts';
import type { BlockChange } from './block-change.ts';

export const BMAP_SUFFIX = '.bmap';
const MODE = 0o666;
/** Blocks of a range, in bytes: what is checked before the first of them is written. */
const RANGE_LENGTH = 1024 * 1024;
const READ_LENGTH = 1024 * 1024;
const TEXT_LENGTH = 256 * 1024;
/** bmaptool reads its own file as memory that is mapped. */
const ZEROS = new Uint8Array(64 * 1024);

interface OpenRange {
  readonly first: number;
  readonly hash: Hash;
  /** Of the blocks that were there before; undefined if there were none, or nobody knows. */
  readonly old: Uint8Array[] | undefined;
  oldBytes: number;
  count: number;
}

/** @param output path of the sparse file; the map lies beside it */
export function openSparseDelta(
  output: string | number,
  header: DeltaHeader,
  imageSize: number | undefined,
): SparseDelta {
  if (typeof output === 'number') {
    throw new PipelineError('USAGE', { reason: 'a sparse file needs a name: -o FILE' });
  }
  if (imageSize === undefined) {
    const reason = 'the size of a stream is not known in time for a sparse file';
    throw new PipelineError('USAGE', { reason });
  }
  return new SparseDelta(output, header, imageSize);
}

export class SparseDelta {
  readonly #path: string;
  readonly #header: DeltaHeader;
  readonly #imageSize: number;
  readonly #digest: BlockDigest;
  readonly #zeros: ZeroDigests;
  readonly #data: DurableFile;
  readonly #map: DurableFile;
  readonly #head: ReturnType<typeof encodeBmapHead>;
  readonly #rangeBlocks: number;
  #baseSize = 0;
  #text = '';
  #mapLength = 0;
  #range: OpenRange | undefined;
  #mappedCount = 0;
  #dataBytes = 0;
  #changedBytes = 0;

  constructor(path: string, header: DeltaHeader, imageSize: number) {
    this.#path = path;
    this.#header = header;
    this.#imageSize = imageSize;
    this.#digest = createBlockDigest(header.digest);
    this.#zeros = new ZeroDigests(this.#digest, header.blockSize);
    this.#rangeBlocks = Math.max(1, Math.floor(RANGE_LENGTH / header.blockSize));
    this.#head = encodeBmapHead({ imageSize, blockSize: header.blockSize });
    this.#data = openDurableFile(path, { mode: MODE });
    try {
      this.#map = openDurableFile(path + BMAP_SUFFIX, { mode: MODE });
    } catch (error) {
      this.#data.discard();
      throw error;
    }
    this.#text = this.#head.text;
  }

  /** Bytes of both files that are no hole. */
  get writtenBytes(): number {
    return this.#dataBytes + this.#mapLength;
  }

  /** @param baseSize bytes of the base, which blocks of it say nothing about */
  expectBase(baseSize: number): void {
    this.#baseSize = baseSize;
  }

  /** In ascending order. @param length bytes of the block in the result, 0 if it goes */
  async change(change: BlockChange, length: number): Promise<void> {
    if (change.new === NEW.absent) return;
    const { blockSize } = this.#header;
    const start = change.block * blockSize;
    const range = this.#rangeFor(change);
    range.count += 1;
    this.#mappedCount += 1;
    this.#changedBytes += length;
    this.#addOld(range, change, start);
    if (change.new === NEW.zeros) {
      for (let done = 0; done < length; done += ZEROS.length) {
        range.hash.update(ZEROS.subarray(0, length - done));
      }
      return;
    }
    range.hash.update(change.bytes);
    this.#dataBytes += change.bytes.length;
    this.#attempt('write', () => writeFullySync(this.#data.descriptor, change.bytes, start));
  }

  async finish(base: ImageVersion, result: ImageVersion): Promise<DeltaEnd> {
    if (result.size !== this.#imageSize) {
      const reason = 'the size of the image changed while it was read';
      throw new PipelineError('SOURCE_CHANGED', { subject: this.#path, step: 'delta', reason });
    }
    this.#closeRange();
    this.#text += encodeBmapTail({
      digest: this.#header.digest,
      baseSize: base.size,
      baseRoot: hexOf(base.root),
      resultRoot: hexOf(result.root),
    });
    this.#flush();
    this.#attempt('set length', () => ftruncateSync(this.#data.descriptor, result.size));
    this.#seal();
    await this.#data.commit({ sync: true });
    await this.#map.commit({ sync: true });
    return { base, result, changedBytes: this.#changedBytes, dataBytes: this.#dataBytes };
  }

  async discard(): Promise<void> {
    this.#data.discard();
    this.#map.discard();
  }

  /** What is known at the end: how many blocks there are, and the checksum of all. */
  #seal(): void {
    const { descriptor } = this.#map;
    const { countOffset, checksumOffset } = this.#head;
    this.#attempt('write', () => {
      writeFullySync(descriptor, Buffer.from(bmapCount(this.#mappedCount)), countOffset);
      const hash = createHash('sha256');
      const part = new Uint8Array(READ_LENGTH);
      for (let offset = 0; offset < this.#mapLength; offset += part.length) {
        hash.update(part.subarray(0, readFully(descriptor, part, offset)));
      }
      writeFullySync(descriptor, Buffer.from(hash.digest('hex')), checksumOffset);
    });
  }

  #rangeFor({ block, old }: BlockChange): OpenRange {
    const range = this.#range;
    const isKnown = old === OLD.zeros || old === OLD.digest;
    const isContinued =
      range !== undefined &&
      range.first + range.count === block &&
      range.count < this.#rangeBlocks &&
      (range.old !== undefined) === isKnown;
    if (isContinued) return range;
    this.#closeRange();
    const hash = createHash('sha256');
    const opened = { first: block, hash, old: isKnown ? [] : undefined, oldBytes: 0, count: 0 };
    this.#range = opened;
    return opened;
  }

  #addOld(range: OpenRange, { old, oldDigest }: BlockChange, start: number): void {
    if (range.old === undefined) return;
    const length = Math.min(this.#header.blockSize, this.#baseSize - start);
    range.oldBytes += length;
    range.old.push(old === OLD.zeros ? this.#zeros.of(length) : oldDigest.slice());
  }

  #closeRange(): void {
    const range = this.#range;
    if (range === undefined) return;
    this.#range = undefined;
    const { first, count, hash, old, oldBytes } = range;
    const was = old && hexOf(oldRangeRoot(this.#digest, this.#header.blockSize, oldBytes, old));
    const checksum = hash.digest('hex');
    this.#text += encodeBmapRange({ first, last: first + count - 1, checksum, was });
    if (this.#text.length > TEXT_LENGTH) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.from(this.#text, 'latin1');
    this.#text = '';
    this.#attempt('write', () => writeFullySync(this.#map.descriptor, bytes, this.#mapLength));
    this.#mapLength += bytes.length;
  }

  #attempt<T>(step: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw about(this.#path, systemFailure(step, error));
    }
  }
}

/** What `was` says of a range. @param digests of its blocks as they were */
export function oldRangeRoot(
  digest: BlockDigest,
  blockSize: number,
  size: number,
  digests: readonly Uint8Array[],
): Uint8Array {
  const all = new Uint8Array(digests.length * DIGEST_LENGTH);
  for (const [i, one] of digests.entries()) all.set(one, i * DIGEST_LENGTH);
  return rootOf(digest, { size, blockSize }, all);
}
