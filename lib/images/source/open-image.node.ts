/**
 * What an image is read from, whatever it is: a file, a block device, a stream, bytes
 * (spec/images.md, "Reading the source"). Used by all commands that read images.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { isCasError } from '../../../formats/errors.ts';
import type { Input } from '../../api/options.ts';
import { localPath } from '../../api/stores.node.ts';
import { untilAborted } from '../../api/until-aborted.ts';
import { PipelineError } from '../../errors.ts';
import { readDescriptor, segmentsOfDescriptor } from '../../make/blob.node.ts';
import { type SegmentSource, segmentsOfStream } from '../../make/segment.ts';
import { blockDeviceSize } from '../../os/block-device.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import type { SegmentRing } from '../../work/segment-ring.ts';
import { openSpgz } from '../bridges/spgz-source.node.ts';
import {
  type ImagePart,
  type ImageSource,
  imageOfFile,
  imageOfStream,
  type PartLayout,
} from './image-source.node.ts';

export interface OpenedImage {
  /** For messages. */
  readonly label: string;
  /** What can be read anywhere has a descriptor; a stream is read once. */
  readonly kind: 'file' | 'device' | 'stream';
  /** Bytes; undefined for a stream. */
  readonly size: number | undefined;
  /** Of a file or device. */
  readonly descriptor: number | undefined;
  /** Permission bits of a file or device. */
  readonly mode: number | undefined;
  /** By its blocks; of a stream only one of both can be taken, once. */
  source(): ImageSource;
  /** The same for content-defined chunks. */
  segments(): SegmentSource;
  readonly close: () => void;
}

export interface OpenImageOptions {
  /** Name in messages; by default the path. */
  readonly label?: string;
  /** Ends the waiting for a stream. */
  readonly signal?: AbortSignal;
}

/** Opening a fifo must not wait for a writer. */
const OPEN_FOR_READING = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
const STDIN = 0;
const UNFIT = 'it is neither a regular file nor a block device';

function nothingToClose(): void {}

/**
 * @param input a path, an open descriptor, which stays open, bytes or a stream of bytes
 * @throws PipelineError about the path; `USAGE` for what is no image
 */
export function openImage(input: Input, options: OpenImageOptions = {}): OpenedImage {
  if (typeof input === 'string') return openPath(localPath(input), options.label ?? input);
  const { label = 'input', signal } = options;
  if (typeof input === 'number') {
    const usual = input === STDIN ? 'standard input' : `descriptor ${input}`;
    return openDescriptor(input, options.label ?? usual, { close: nothingToClose, signal });
  }
  if (input instanceof Uint8Array) return openStream(label, [input]);
  return openStream(label, signal === undefined ? input : untilAborted(input, signal));
}

function openPath(path: string, label: string): OpenedImage {
  let descriptor: number;
  try {
    descriptor = openSync(path, OPEN_FOR_READING);
  } catch (error) {
    throw systemFailure('open', error, label);
  }
  const close = () => closeSync(descriptor);
  try {
    const stats = fstatSync(descriptor);
    if (stats.isFile() || stats.isBlockDevice())
      return openDescriptor(descriptor, label, { close });
    if (!stats.isFIFO()) throw new PipelineError('USAGE', { subject: label, reason: UNFIT });
  } catch (error) {
    close();
    throw error;
  }
  close();
  return openFifo(path, label);
}

/** A reader that waits for its writer. */
function openFifo(path: string, label: string): OpenedImage {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOCTTY);
  return openDescriptor(descriptor, label, { close: nothingToClose });
}

interface DescriptorOptions {
  readonly close: () => void;
  readonly signal?: AbortSignal | undefined;
}

function openDescriptor(
  descriptor: number,
  label: string,
  { close, signal }: DescriptorOptions,
): OpenedImage {
  const stats = fstatSync(descriptor);
  const isDevice = stats.isBlockDevice();
  if (!isDevice && !stats.isFile()) {
    if (stats.isDirectory()) throw new PipelineError('USAGE', { subject: label, reason: UNFIT });
    const reading = { label, ...(signal ? { signal } : {}) };
    return { ...openStream(label, readDescriptor(descriptor, reading)), close };
  }
  const size = isDevice ? blockDeviceSize(descriptor, label) : stats.size;
  return {
    label,
    kind: isDevice ? 'device' : 'file',
    size,
    descriptor,
    mode: stats.mode & 0o777,
    source: () => imageOfFile({ descriptor, label, size }),
    segments: () => segmentsOfDescriptor(descriptor, { label, size }),
    close,
  };
}

function openStream(
  label: string,
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): OpenedImage {
  return {
    label,
    kind: 'stream',
    size: undefined,
    descriptor: undefined,
    mode: undefined,
    source: () => imageOfStream(label, pieces),
    segments: () => segmentsOfStream(pieces),
    close: nothingToClose,
  };
}

/**
 * The image by its blocks; of a file of spgz what is in it. A stream can be taken once.
 * @throws FormatError, PipelineError `IO`
 */
export async function sourceOf(image: OpenedImage): Promise<ImageSource> {
  const { kind, descriptor, label, size } = image;
  if (kind !== 'file' || descriptor === undefined || size === undefined) return image.source();
  try {
    return (await openSpgz({ descriptor, label, size })) ?? image.source();
  } catch (error) {
    // What cannot be read at its begin may be an image with a bad block.
    if (isCasError(error) && error.code === 'IO') return image.source();
    throw error;
  }
}

/** The begin of an image. @param size bytes that count, fewer than there are */
export function beginOf(source: ImageSource, size: number): ImageSource {
  async function* parts(ring: SegmentRing, layout: PartLayout): AsyncGenerator<ImagePart> {
    if (size === 0) return;
    for await (const part of source.parts(ring, layout)) {
      yield { ...part, length: Math.min(part.length, size - part.start) };
      if (part.start + part.length >= size) return;
    }
  }
  return { label: source.label, size, parts };
}
