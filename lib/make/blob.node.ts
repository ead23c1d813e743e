/** The bytes of a blob: a regular file, a block device or a stream (spec/formats/chunker.md, "Sources"). */
import { createReadStream, fstatSync, readSync } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { blockDeviceSize } from '../os/block-device.node.ts';
import { nextData } from '../os/holes.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import type { SegmentRing } from '../work/segment-ring.ts';
import type { Segment, SegmentLayout, SegmentSource } from './segment.ts';
import { SUPERBLOCK_HEAD_LENGTH, superblockSize } from './superblock.ts';

const PIECE_LENGTH = 1024 * 1024;
const STDIN = 0;
/** Zeros in one segment at most. */
const ZEROS_AT_ONCE = 64 * 1024 * 1024;

export interface BlobOptions {
  /** For messages. */
  readonly label: string;
  /** Told when the blob changed while it was read. */
  readonly onIncomplete: (label: string, reason: string) => void;
}

function readAt(fd: number, buffer: Uint8Array, offset: number, label: string): number {
  try {
    return readSync(fd, buffer, 0, buffer.length, offset);
  } catch (error) {
    throw systemFailure('read', error, label);
  }
}

/** Bytes of a block device that belong to its file system, or all of it. */
function deviceSize(fd: number, label: string): number {
  const size = blockDeviceSize(fd, label);
  if (size < SUPERBLOCK_HEAD_LENGTH) return size;
  const head = new Uint8Array(SUPERBLOCK_HEAD_LENGTH);
  readAt(fd, head, 0, label);
  return Math.min(size, superblockSize(head) ?? size);
}

/** Size in bytes of what is read of a file or device. */
export function blobSize(fd: number, label: string): number {
  const stats = fstatSync(fd);
  return stats.isBlockDevice() ? deviceSize(fd, label) : stats.size;
}

export interface DescriptorOptions {
  /** For messages. */
  readonly label: string;
  readonly signal?: AbortSignal;
}

/** What can only be read front to back, to its end: a pipe, a socket, a terminal. */
export async function* readDescriptor(
  descriptor: number,
  { label, signal }: DescriptorOptions,
): AsyncGenerator<Uint8Array> {
  const stream = await openReadable(descriptor);
  if (signal) addAbortSignal(signal, stream);
  try {
    yield* stream;
  } catch (error) {
    throwIfAborted(signal);
    throw systemFailure('read', error, label);
  }
}

async function openReadable(descriptor: number): Promise<Readable> {
  if (descriptor === STDIN) return process.stdin;
  const stats = fstatSync(descriptor);
  if (stats.isFIFO() || stats.isSocket()) {
    // Rarely needed, and slow to load.
    const { Socket } = await import('node:net');
    return new Socket({ fd: descriptor, writable: false });
  }
  return createReadStream('', { fd: descriptor, autoClose: false });
}

/**
 * A file or block device as segments that are still to be read, holes left out. Growth after the start
 * is ignored.
 */
export function segmentsOfFile(descriptor: number, options: BlobOptions): SegmentSource {
  const { label, onIncomplete } = options;
  const totalBytes = blobSize(descriptor, label);
  const before = fstatSync(descriptor, { bigint: true });
  return {
    totalBytes,
    segments: (ring, layout) => cutFile({ descriptor, label, totalBytes }, ring, layout),
    finished() {
      const after = fstatSync(descriptor, { bigint: true });
      if (before.mtimeNs !== after.mtimeNs || before.size !== after.size) {
        onIncomplete(label, 'file changed while it was read');
      }
    },
  };
}

/** The same for so many bytes, whatever a file system says; nobody is told of changes. */
export function segmentsOfDescriptor(
  descriptor: number,
  { label, size }: { readonly label: string; readonly size: number },
): SegmentSource {
  return {
    totalBytes: size,
    segments: (ring, layout) => cutFile({ descriptor, label, totalBytes: size }, ring, layout),
  };
}

interface OpenBlob {
  readonly descriptor: number;
  readonly label: string;
  readonly totalBytes: number;
}

async function* cutFile(
  { descriptor, label, totalBytes }: OpenBlob,
  ring: SegmentRing,
  { length, tailLength }: SegmentLayout,
): AsyncGenerator<Segment> {
  for (let start = 0; start < totalBytes; ) {
    const knownZeros = zerosAt(descriptor, start, totalBytes) - tailLength;
    if (knownZeros >= length) {
      const zeroLength = Math.min(knownZeros, ZEROS_AT_ONCE);
      yield { kind: 'zeros', start, length: zeroLength };
      start += zeroLength;
      continue;
    }
    const left = totalBytes - start;
    yield {
      kind: 'data',
      start,
      length: Math.min(length, left),
      availableLength: Math.min(length + tailLength, left),
      address: await ring.acquire(),
      from: { descriptor, offset: start, label },
    };
    start += length;
  }
}

/** Bytes at `start` that are known to be zero, because they lie in a hole. */
function zerosAt(descriptor: number, start: number, totalBytes: number): number {
  return Math.min(nextData(descriptor, start) ?? totalBytes, totalBytes) - start;
}

/**
 * A file or block device in pieces that are valid until the next is taken. Growth after the start is
 * ignored.
 * @throws PipelineError `SOURCE_CHANGED` if it became shorter
 */
export function* readBlob(fd: number, options: BlobOptions): Generator<Uint8Array> {
  const { label, onIncomplete } = options;
  const size = blobSize(fd, label);
  const buffer = new Uint8Array(PIECE_LENGTH);
  const before = fstatSync(fd, { bigint: true });
  for (let offset = 0; offset < size; ) {
    const wanted = buffer.subarray(0, Math.min(buffer.length, size - offset));
    const length = readAt(fd, wanted, offset, label);
    if (length === 0) {
      const reason = `file became shorter while it was read (${offset} of ${size} bytes)`;
      throw new PipelineError('SOURCE_CHANGED', { subject: label, step: 'read', reason });
    }
    yield wanted.subarray(0, length);
    offset += length;
  }
  const after = fstatSync(fd, { bigint: true });
  if (before.mtimeNs !== after.mtimeNs || before.size !== after.size) {
    onIncomplete(label, 'file changed while it was read');
  }
}
