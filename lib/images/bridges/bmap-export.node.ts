/** Block maps of images for bmaptool, alone or with a sparse copy (spec/bridges.md, "bmap"). */
import { createHash, type Hash } from 'node:crypto';
import {
  bmapCount,
  encodeBmapHead,
  encodeBmapRange,
  encodeBmapTail,
  MAX_BMAP_LENGTH,
} from '../../../formats/bmap.ts';
import { CasError } from '../../../formats/errors.ts';
import { progressOf } from '../../progress.ts';
import type { SparsePolicy } from '../destination/image-update.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import { type BlockPortion, BlockScan, type KindRun } from '../source/scan-blocks.node.ts';
import type { AppendedImage } from './appended-image.node.ts';
import type { BridgeWork } from './bridge-work.ts';

/** Bytes of a range: whoever copies it checks so much before, or writes so much that is wrong. */
const RANGE_LENGTH = 1024 * 1024;

export interface BmapExportOptions {
  readonly blockSize: number;
  /** Which blocks are mapped: no holes, no zeros, or all. */
  readonly sparse: SparsePolicy;
  /** Gets the image as well. */
  readonly copy?: AppendedImage;
}

export interface BmapExport {
  /** The file. */
  readonly text: string;
  /** Bytes of the image that are mapped. */
  readonly mappedBytes: number;
}

/** @throws CasError `LIMIT_EXCEEDED` for too many ranges, and what reading and writing throw */
export async function makeBmap(
  image: ImageSource,
  { blockSize, sparse, copy }: BmapExportOptions,
  { threadCount, signal, onProgress }: BridgeWork,
): Promise<BmapExport> {
  const map = new MapText(blockSize, image.label);
  const scan = new BlockScan({
    blockSize,
    digest: 'sha256',
    threadCount,
    ...(signal ? { signal } : {}),
  });
  let size = 0;
  try {
    for await (const portion of scan.scan(image)) {
      for (const run of portion.runs()) {
        if (isMapped(portion, run, sparse)) map.add(portion, run);
        else map.closeRange();
      }
      await copyPortion(portion, copy);
      size = portion.start + portion.length;
      onProgress?.(progressOf('export', size, image.size));
      portion.release();
    }
  } finally {
    await scan.close();
  }
  return { text: map.finish(size), mappedBytes: map.mappedBytes };
}

function isMapped(portion: BlockPortion, { kind }: KindRun, sparse: SparsePolicy): boolean {
  if (sparse === 'never' || kind === 'data') return true;
  return sparse === 'auto' && portion.hasBytes;
}

async function copyPortion(portion: BlockPortion, copy: AppendedImage | undefined): Promise<void> {
  if (portion.hasBytes) await copy?.write(portion.bytesOf(portion));
  else copy?.skip(portion.length);
}

class MapText {
  readonly #blockSize: number;
  readonly #label: string;
  readonly #zeros: Uint8Array;
  readonly #ranges: string[] = [];
  #length = 0;
  #range: { readonly first: number; count: number; readonly hash: Hash } | undefined;
  #mappedCount = 0;
  mappedBytes = 0;

  constructor(blockSize: number, label: string) {
    this.#blockSize = blockSize;
    this.#label = label;
    this.#zeros = new Uint8Array(blockSize);
  }

  /** Blocks are mapped. */
  add(portion: BlockPortion, { first, count }: KindRun): void {
    const most = Math.max(1, Math.floor(RANGE_LENGTH / this.#blockSize));
    for (let block = first; block < first + count; ) {
      const range = this.#rangeAt(block, most);
      const here = Math.min(most - range.count, first + count - block);
      this.#hash(range.hash, portion, block, here);
      range.count += here;
      block += here;
    }
    this.#mappedCount += count;
  }

  closeRange(): void {
    if (this.#range === undefined) return;
    const { first, count, hash } = this.#range;
    this.#range = undefined;
    const checksum = hash.digest('hex');
    const line = encodeBmapRange({ first, last: first + count - 1, checksum });
    this.#length += line.length;
    if (this.#length > MAX_BMAP_LENGTH) {
      const reason = 'too many ranges for a block map; larger blocks (--block-size) make fewer';
      throw new CasError('LIMIT_EXCEEDED', { subject: this.#label, step: 'export', reason });
    }
    this.#ranges.push(line);
  }

  /** @param imageSize in bytes @returns the file */
  finish(imageSize: number): string {
    this.closeRange();
    const { text, countOffset, checksumOffset } = encodeBmapHead({
      imageSize,
      blockSize: this.#blockSize,
    });
    const whole = [text, ...this.#ranges, encodeBmapTail(undefined)].join('');
    const counted = replaced(whole, countOffset, bmapCount(this.#mappedCount));
    const checksum = createHash('sha256').update(counted).digest('hex');
    return replaced(counted, checksumOffset, checksum);
  }

  #rangeAt(block: number, most: number) {
    const range = this.#range;
    if (range !== undefined && range.count < most && range.first + range.count === block) {
      return range;
    }
    this.closeRange();
    this.#range = { first: block, count: 0, hash: createHash('sha256') };
    return this.#range;
  }

  #hash(hash: Hash, portion: BlockPortion, first: number, count: number): void {
    const start = first * this.#blockSize;
    const end = Math.min(start + count * this.#blockSize, portion.start + portion.length);
    this.mappedBytes += end - start;
    if (portion.hasBytes) {
      hash.update(portion.bytesOf({ first, count }));
      return;
    }
    for (let at = start; at < end; at += this.#blockSize) {
      hash.update(this.#zeros.subarray(0, Math.min(this.#blockSize, end - at)));
    }
  }
}

function replaced(text: string, offset: number, value: string): string {
  return text.slice(0, offset) + value + text.slice(offset + value.length);
}
