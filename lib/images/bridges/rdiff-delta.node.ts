/** Deltas of rdiff: made and applied (spec/bridges.md, "rdiff deltas"). */
import { about, CasError } from '../../../formats/errors.ts';
import { RdiffDeltaParser } from '../../../formats/rdiff-delta.ts';
import type { RdiffSignature } from '../../../formats/rdiff-signature.ts';
import { throwIfAborted } from '../../errors.ts';
import { readSource } from '../../make/read-source.node.ts';
import { progressOf } from '../../progress.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import type { OpenedImage } from '../source/open-image.node.ts';
import type { BridgeWork } from './bridge-work.ts';
import { isHole, piecesOfImage } from './image-pieces.node.ts';
import { type RdiffDeltaCounts, RdiffDeltaMaker } from './rdiff-delta-maker.ts';
import { strongSumOf } from './rdiff-signature.node.ts';

/** Where the result goes, in order. */
export interface ByteTaker {
  write(bytes: Uint8Array): Promise<void> | void;
}

/** Bytes that are copied at a time. */
const COPY_LENGTH = 1024 * 1024;

/** What leads from the file behind a signature to an image. @param write takes the delta in order */
export async function makeRdiffDelta(
  signature: RdiffSignature,
  image: ImageSource,
  write: (bytes: Uint8Array) => Promise<void> | void,
  { signal, onProgress }: BridgeWork,
): Promise<RdiffDeltaCounts> {
  const maker = new RdiffDeltaMaker(signature, strongSumOf(signature.header.strongSum));
  let done = 0;
  for await (const piece of piecesOfImage(image, signal)) {
    if (isHole(piece)) maker.feedZeros(piece.length);
    else maker.feed(piece);
    for (const part of maker.takeOutput()) await write(part);
    done += piece.length;
    onProgress?.(progressOf('export', done, image.size));
  }
  maker.finish();
  for (const part of maker.takeOutput()) await write(part);
  return maker.counts;
}

/**
 * Makes the new file of an old one and a delta. Deltas of rdiff say neither which old file they are for
 * nor what the result must be: a wrong old file is noticed only where it is too short.
 * @param base a file or device @returns bytes of the result
 * @throws FormatError, CasError `VERIFY_FAILED` if the old file is too short, and what reading and
 * writing throw
 */
export async function applyRdiffDelta(
  base: OpenedImage,
  delta: { readonly label: string; readonly pieces: AsyncIterable<Uint8Array> },
  output: ByteTaker,
  { signal, onProgress }: BridgeWork,
): Promise<RdiffDeltaCounts> {
  const parser = new RdiffDeltaParser();
  const buffer = new Uint8Array(COPY_LENGTH);
  let [literalBytes, copiedBytes] = [0, 0];
  for await (const piece of delta.pieces) {
    parser.feed(piece);
    for (let event = nextOf(); event !== undefined; event = nextOf()) {
      if (event.type === 'literal') {
        await output.write(event.bytes);
        literalBytes += event.bytes.length;
      } else {
        await copy(event.start, event.length);
        copiedBytes += event.length;
      }
      throwIfAborted(signal);
      onProgress?.(progressOf('import', literalBytes + copiedBytes));
    }
  }
  named(() => parser.finish());
  return { literalBytes, copiedBytes };

  function nextOf() {
    return named(() => parser.next());
  }

  function named<T>(decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      throw about(delta.label, error);
    }
  }

  async function copy(start: number, length: number): Promise<void> {
    const { size = 0, descriptor = -1, label } = base;
    if (start + length > size) {
      const reason = `it is not the base of this delta, which needs at least ${start + length} bytes`;
      throw new CasError('VERIFY_FAILED', { subject: label, step: 'patch', reason });
    }
    for (let done = 0; done < length; ) {
      throwIfAborted(signal);
      const part = buffer.subarray(0, Math.min(COPY_LENGTH, length - done));
      readBase(part, start + done, descriptor, label);
      await output.write(part);
      done += part.length;
    }
  }
}

function readBase(into: Uint8Array, offset: number, descriptor: number, label: string): void {
  try {
    readSource(descriptor, into, offset);
  } catch (error) {
    throw about(label, error);
  }
}
