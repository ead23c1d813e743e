/**
 * Applies a sparse file with its block map, ours or that of bmaptool (spec/formats/delta.md, "Sparse
 * form"). What counts is the map: blocks that it names are copied, whether they are holes or not.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import {
  type BlockDigest,
  type BlockDigestName,
  DIGEST_LENGTH,
} from '../../../formats/block-digest.ts';
import {
  type Bmap,
  type BmapRange,
  decodeBmap,
  isBmap,
  MAX_BMAP_LENGTH,
} from '../../../formats/bmap.ts';
import { hexOf } from '../../../formats/bytes.ts';
import { about, FormatError } from '../../../formats/errors.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { PipelineError, throwIfAborted } from '../../errors.ts';
import { isZero } from '../../extract/sparse.node.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import { progressOf } from '../../progress.ts';
import { createBreather } from '../../work/breathe.ts';
import { type BlockPlace, BlockWriter } from './block-writer.ts';
import type { PatchedBase, PatchWork, WrittenBlocks } from './patch-blocks.node.ts';
import { BMAP_SUFFIX, oldRangeRoot } from './sparse-delta.node.ts';

const PART_LENGTH = 1024 * 1024;
const DIGESTS: readonly BlockDigestName[] = ['sha256', 'sha512-256', 'blake2b-256'];

export class SparseImage {
  readonly label: string;
  readonly bmap: Bmap;
  /** SHA-256 of the map. */
  readonly identity: Uint8Array;
  readonly #descriptor: number;
  readonly #digest: BlockDigest | undefined;
  readonly #part = new Uint8Array(PART_LENGTH);

  /** @throws FormatError about the map; PipelineError */
  constructor(path: string) {
    const mapPath = path + BMAP_SUFFIX;
    this.label = path;
    const map = readMap(mapPath);
    this.identity = createHash('sha256').update(map).digest();
    this.bmap = decoded(map, mapPath);
    const name = this.bmap.delta?.digest;
    const digest = DIGESTS.find((known) => known === name);
    if (name !== undefined && digest === undefined) {
      throw new PipelineError('UNSUPPORTED', { subject: mapPath, reason: `digest ${name}` });
    }
    this.#digest = digest && createBlockDigest(digest);
    this.#descriptor = opened(path);
    if (fstatSync(this.#descriptor).size >= this.bmap.imageSize) return;
    this.close();
    throw new FormatError('bmap', 'ImageSize', 0, `${path} is shorter`);
  }

  /**
   * Checks every range here, and on the base that it is what it was or is to become.
   * @param isResumed the base may hold anything
   * @returns blocks that are not there yet
   * @throws FormatError about the file; PipelineError `UNSAFE_TARGET`, `TARGET_FULL`
   */
  async check(base: PatchedBase, isResumed: boolean, { signal }: PatchWork): Promise<number> {
    this.#checkSize(base, isResumed);
    const breathe = createBreather();
    let pending = 0;
    for (const range of this.bmap.ranges) {
      if (range.checksum === undefined) throw this.#damaged(range, 'there is no checksum');
      if (this.#checksum(range, (part, at) => this.#read(part, at)) !== range.checksum) {
        throw this.#damaged(range, 'checksum differs');
      }
      const isThere = this.#checksum(range, (part, at) => base.read(part, at)) === range.checksum;
      if (!isThere) pending += range.last - range.first + 1;
      if (!isThere && !isResumed && !this.#wasHere(base, range)) throw this.#wrong(base, range);
      await breathe();
      throwIfAborted(signal);
    }
    return pending;
  }

  /** Writes what {@link check} has found to be right. */
  async write(place: BlockPlace, { signal, onProgress }: PatchWork): Promise<WrittenBlocks> {
    const { ranges, blockSize, imageSize } = this.bmap;
    const writer = new BlockWriter(place);
    const breathe = createBreather();
    for (const { first, last } of ranges) {
      const end = Math.min((last + 1) * blockSize, imageSize);
      for (let offset = first * blockSize; offset < end; offset += PART_LENGTH) {
        const part = this.#part.subarray(0, end - offset);
        this.#read(part, offset);
        if (isZero(part)) await writer.addZeros(offset, part.length);
        else await writer.add(part, offset);
        onProgress?.(progressOf('patch', offset + part.length, imageSize));
        await breathe();
        throwIfAborted(signal);
      }
    }
    await writer.flush();
    return { writtenBytes: writer.writtenBytes, holeBytes: writer.holeBytes };
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #checkSize(base: PatchedBase, isResumed: boolean): void {
    const { imageSize, delta } = this.bmap;
    if (base.kind === 'device') {
      if (base.size >= imageSize) return;
      const reason = `the result has ${imageSize} bytes, here is room for ${base.size}`;
      throw new PipelineError('TARGET_FULL', { subject: base.label, step: 'patch', reason });
    }
    if (isResumed || delta === undefined) return;
    if (base.size === delta.baseSize || base.size === imageSize) return;
    const reason = `it has ${base.size} bytes, and the base ${delta.baseSize}; nothing was written`;
    throw new PipelineError('UNSAFE_TARGET', { subject: base.label, step: 'patch', reason });
  }

  /** The digest of a range, as the map has it. */
  #checksum({ first, last }: BmapRange, read: (part: Uint8Array, offset: number) => void): string {
    const { blockSize, imageSize, checksumType = 'sha256' } = this.bmap;
    const hash = createHash(checksumType);
    const end = Math.min((last + 1) * blockSize, imageSize);
    for (let offset = first * blockSize; offset < end; offset += PART_LENGTH) {
      const part = this.#part.subarray(0, end - offset);
      read(part, offset);
      hash.update(part);
    }
    return hash.digest('hex');
  }

  #wasHere(base: PatchedBase, { first, last, was }: BmapRange): boolean {
    const { blockSize, delta } = this.bmap;
    if (was === undefined || delta === undefined || this.#digest === undefined) return true;
    const digests: Uint8Array[] = [];
    const end = Math.min((last + 1) * blockSize, delta.baseSize);
    for (let offset = first * blockSize; offset < end; offset += blockSize) {
      const block = new Uint8Array(Math.min(blockSize, end - offset));
      base.read(block, offset);
      const digest = new Uint8Array(DIGEST_LENGTH);
      this.#digest.write(block, digest, 0);
      digests.push(digest);
    }
    const root = oldRangeRoot(this.#digest, blockSize, end - first * blockSize, digests);
    return hexOf(root) === was;
  }

  #read(into: Uint8Array, offset: number): void {
    try {
      into.fill(0, readFully(this.#descriptor, into, offset));
    } catch (error) {
      throw systemFailure('read', error, this.label);
    }
  }

  #damaged({ first, last }: BmapRange, why: string): unknown {
    return about(this.label, new FormatError('bmap', `Range ${first}-${last}`, 0, why));
  }

  #wrong({ label }: PatchedBase, { first, last }: BmapRange): PipelineError {
    const reason =
      `blocks ${first} to ${last} are neither what they were for the delta nor what they become; ` +
      'nothing was written';
    return new PipelineError('UNSAFE_TARGET', { subject: label, step: 'patch', reason });
  }
}

/** Whether there is a block map beside a file. */
export function hasBmap(path: string): boolean {
  try {
    const descriptor = openSync(path + BMAP_SUFFIX, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const head = new Uint8Array(4096);
      return isBmap(head.subarray(0, readFully(descriptor, head, 0)));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return false;
  }
}

function readMap(path: string): Buffer {
  const descriptor = opened(path);
  try {
    if (fstatSync(descriptor).size > MAX_BMAP_LENGTH) {
      throw new PipelineError('USAGE', { subject: path, reason: 'the block map is too long' });
    }
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function decoded(map: Buffer, path: string): Bmap {
  try {
    const bmap = decodeBmap(map);
    checkFile(map, bmap);
    return bmap;
  } catch (error) {
    throw about(path, error);
  }
}

/** @throws FormatError if the map is not what it was */
function checkFile(map: Buffer, { fileChecksum, checksumType = 'sha256' }: Bmap): void {
  if (fileChecksum === undefined) return;
  const { digits, offset } = fileChecksum;
  const hash = createHash(checksumType);
  hash.update(map.subarray(0, offset));
  hash.update('0'.repeat(digits.length));
  hash.update(map.subarray(offset + digits.length));
  if (hash.digest('hex') === digits) return;
  throw new FormatError('bmap', 'BmapFileChecksum', offset, 'checksum differs');
}

function opened(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY);
  } catch (error) {
    throw systemFailure('open', error, path);
  }
}
