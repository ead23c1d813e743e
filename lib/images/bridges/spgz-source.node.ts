/** A file of spgz as the image that it holds (spec/bridges.md, "spgz"): a source of sync and others. */
import { gunzip, gunzipSync } from 'node:zlib';
import { about, CasError } from '../../../formats/errors.ts';
import {
  decodeSpgzHead,
  decodeSpgzSlot,
  lastSpgzSlot,
  SPGZ_HEAD_LENGTH,
  type SpgzLayout,
  type SpgzSlot,
  spgzSlotOffset,
} from '../../../formats/spgz.ts';
import { nextData } from '../../os/holes.node.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import { unattended } from '../../work/unattended.ts';
import { type FileImage, type ImageSource, imageOfStream } from '../source/image-source.node.ts';

/** Blocks that are decompressed at a time, on threads of Node. */
const AHEAD = 6;

interface OpenedSpgz {
  readonly file: FileImage;
  readonly layout: SpgzLayout;
  /** Number of the last slot, and the block in it. */
  readonly last: number;
  readonly end: Uint8Array;
}

/**
 * Looks whether a regular file is one of spgz.
 * @param file `size` is that of the file; the descriptor stays open as long as the source is used
 * @returns the image; undefined for any other file
 * @throws FormatError, PipelineError `IO`
 */
export function openSpgz(file: FileImage): ImageSource | undefined {
  const head = new Uint8Array(SPGZ_HEAD_LENGTH);
  const known = read(file, head, 0);
  const layout = named(file, () => decodeSpgzHead(head.subarray(0, known)));
  if (layout === undefined) return undefined;
  const last = lastSpgzSlot(file.size, layout);
  const end = lastBlock(file, layout, last);
  const { label } = file;
  const size = last * layout.blockSize + end.length;
  const pieces = () => blocksOf({ file, layout, last, end });
  return { label, size, parts: (ring, parts) => imageOfStream(label, pieces()).parts(ring, parts) };
}

/** The image in order. */
async function* blocksOf({ file, layout, last, end }: OpenedSpgz): AsyncGenerator<Uint8Array> {
  const zeros = new Uint8Array(layout.blockSize);
  const ahead: Promise<Uint8Array>[] = [];
  for (let slot = 0; slot < last; slot++) {
    const isHole = isHoleAt(file, layout, slot);
    ahead.push(isHole ? Promise.resolve(zeros) : unattended(blockOf(file, layout, slot)));
    if (ahead.length >= AHEAD) yield await (ahead.shift() as Promise<Uint8Array>);
  }
  for (const block of ahead) yield await block;
  yield end;
}

/** A slot that takes no space is a block of zeros. */
function isHoleAt({ descriptor, size }: FileImage, layout: SpgzLayout, slot: number): boolean {
  const offset = spgzSlotOffset(slot, layout);
  return (nextData(descriptor, offset) ?? size) >= offset + layout.slotSize;
}

function lastBlock(file: FileImage, layout: SpgzLayout, last: number): Uint8Array {
  const slot = readSlot(file, layout, last);
  if (slot?.isCompressed !== true) return slot?.content ?? new Uint8Array(0);
  try {
    return gunzipSync(slot.content, { maxOutputLength: layout.blockSize });
  } catch (error) {
    throw damaged(file, spgzSlotOffset(last, layout), error);
  }
}

/** A block that is not the last one. */
async function blockOf(file: FileImage, layout: SpgzLayout, number: number): Promise<Uint8Array> {
  const slot = readSlot(file, layout, number);
  if (slot?.isCompressed !== true) return slot?.content ?? new Uint8Array(0);
  const plain = await new Promise<Uint8Array>((resolve, reject) => {
    gunzip(slot.content, { maxOutputLength: layout.blockSize }, (error, bytes) => {
      if (error === null) resolve(bytes);
      else reject(damaged(file, spgzSlotOffset(number, layout), error));
    });
  });
  if (plain.length === layout.blockSize) return plain;
  // Images that grew leave a short block behind, whose rest is zeros.
  const whole = new Uint8Array(layout.blockSize);
  whole.set(plain);
  return whole;
}

/** @returns undefined where the file ends */
function readSlot(file: FileImage, layout: SpgzLayout, number: number): SpgzSlot | undefined {
  const offset = spgzSlotOffset(number, layout);
  const bytes = new Uint8Array(Math.max(0, Math.min(layout.slotSize, file.size - offset)));
  if (read(file, bytes, offset) < bytes.length) {
    const reason = 'file became shorter while it was read';
    throw new CasError('SOURCE_CHANGED', { subject: file.label, step: 'read', reason });
  }
  return bytes.length === 0 ? undefined : named(file, () => decodeSpgzSlot(bytes, offset));
}

function damaged({ label }: FileImage, offset: number, cause: unknown): CasError {
  const step = `decompress block at byte ${offset}`;
  const reason = 'damaged; sync the file with its origin again, or take another copy';
  return new CasError('FORMAT', { subject: label, step, reason, cause });
}

function read({ descriptor, label }: FileImage, into: Uint8Array, offset: number): number {
  try {
    return readFully(descriptor, into, offset);
  } catch (error) {
    throw systemFailure('read', error, label);
  }
}

function named<T>({ label }: FileImage, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw about(label, error);
  }
}
