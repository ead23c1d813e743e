/**
 * Answers to NBD reads (spec/nbd.md, "Protocol"): long ones in pieces, so that whoever reads slowly
 * holds little memory.
 */
import { NBD_COMMAND_FLAG, NBD_ERROR } from '../../../formats/nbd-constants.ts';
import {
  encodeNbdDataHead,
  encodeNbdEnd,
  encodeNbdHole,
  encodeNbdSimpleReply,
} from '../../../formats/nbd-replies.ts';
import type { NbdFault, NbdRequest } from '../../../formats/nbd-requests.ts';
import { PipelineError } from '../../errors.ts';
import {
  type BlobBytes,
  type BlobRange,
  type BlobReader,
  freeBytes,
} from '../../read/blob-reader.ts';
import type { ClientMemory } from './client-memory.ts';
import { PIECE_BYTES } from './limits.ts';
import type { ReplyOutput } from './reply-output.ts';
import { stretchesOf } from './stretches.ts';

export interface ReadOptions {
  readonly reader: BlobReader;
  readonly memory: ClientMemory;
  readonly output: ReplyOutput;
  /** Fires when the client has gone, or nobody shall wait any more. */
  readonly signal: AbortSignal;
}

/** How an answer ends that could not be given; undefined if it was given. */
export type ReadFailure =
  | { readonly error: unknown; readonly offset: number }
  | { readonly fault: NbdFault };

/** Shorter zeros are sent as data: a chunk of its own costs more. */
const STRETCHES = { shortestZero: 4096, maxCount: 1024 };

/**
 * Answers a read in chunks.
 * @param onSent called when all is sent; not called if it fails
 */
export async function answerInChunks(
  { cookie, flags, offset, length }: NbdRequest,
  options: ReadOptions,
  onSent: () => void,
): Promise<ReadFailure | undefined> {
  const { output } = options;
  const isWhole = (flags & NBD_COMMAND_FLAG.df) !== 0;
  if (isWhole && length > PIECE_BYTES) {
    const message = `unfragmented answers have at most ${PIECE_BYTES} bytes`;
    return { fault: { error: NBD_ERROR.EOVERFLOW, message } };
  }
  if (length === 0) output.send([encodeNbdEnd(cookie)], onSent);
  for (const part of isWhole
    ? [{ offset, length, isZero: false }]
    : partsOf(options, { offset, length })) {
    const isLast = part.offset + part.length === offset + length;
    const chunk = { cookie, isLast };
    const done = isLast ? onSent : () => {};
    if (part.isZero) {
      output.send([encodeNbdHole(part.offset, part.length, chunk)], done);
      continue;
    }
    try {
      const waiting = options.memory.take(part.length);
      if (waiting !== undefined) await waiting;
      const bytes = await readTaken(part, options);
      output.send([encodeNbdDataHead(part.offset, part.length, chunk), ...bytes.pieces], () => {
        bytes.release();
        done();
      });
    } catch (error) {
      return { error, offset: part.offset };
    }
  }
  return undefined;
}

interface Part extends BlobRange {
  readonly isZero: boolean;
}

/** The chunks of an answer: zeros as they are, the rest in pieces. */
function* partsOf({ reader }: ReadOptions, { offset, length }: BlobRange): Generator<Part> {
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const rest = { offset: at, length: end - at };
    for (const stretch of stretchesOf(reader, rest, STRETCHES)) {
      const { isZero } = stretch;
      const most = isZero ? stretch.length : PIECE_BYTES;
      for (const stop = at + stretch.length; at < stop; ) {
        const part = { offset: at, length: Math.min(most, stop - at), isZero };
        yield part;
        at += part.length;
      }
    }
  }
}

/** Answers a read in one: an error can only be told before the first byte. */
export async function answerSimply(
  request: NbdRequest,
  options: ReadOptions,
  onSent: () => void,
): Promise<ReadFailure | undefined> {
  const { cookie, offset, length } = request;
  const { memory, output } = options;
  try {
    // What a client has always room for is waited for, more is taken only if it is there.
    const isAtOnce = length <= PIECE_BYTES;
    if (isAtOnce) await memory.take(length);
    else if (!memory.tryTake(length)) return await answerInParts(request, options, onSent);
    const bytes = await readTaken({ offset, length }, options);
    output.send([encodeNbdSimpleReply(cookie, 0), ...bytes.pieces], () => {
      bytes.release();
      onSent();
    });
    return undefined;
  } catch (error) {
    return { error, offset };
  }
}

/**
 * The same with little memory: everything is read once to see whether it can be, and once more to be
 * sent. If that fails the second time, the connection ends, as there is no other way to say it.
 */
async function answerInParts(
  { cookie, offset, length }: NbdRequest,
  { reader, memory, output, signal }: ReadOptions,
  onSent: () => void,
): Promise<ReadFailure | undefined> {
  const ranges: BlobRange[] = [];
  for (let at = offset; at < offset + length; at += PIECE_BYTES) {
    ranges.push({ offset: at, length: Math.min(PIECE_BYTES, offset + length - at) });
  }
  await memory.take(PIECE_BYTES);
  try {
    for (const range of ranges) (await readExactly(range, { reader, signal })).release();
    await output.sendParts(async (send) => {
      await send([encodeNbdSimpleReply(cookie, 0)]);
      for (const range of ranges) {
        const bytes = await readExactly(range, { reader, signal });
        await send(bytes.pieces);
        bytes.release();
      }
    });
    onSent();
    return undefined;
  } finally {
    memory.give(PIECE_BYTES);
  }
}

/** Reads into memory that is taken already; it is given back with the bytes, or if reading fails. */
async function readTaken(
  range: BlobRange,
  { reader, memory, signal }: Omit<ReadOptions, 'output'>,
): Promise<BlobBytes> {
  try {
    const bytes = await readExactly(range, { reader, signal });
    return {
      pieces: bytes.pieces,
      length: bytes.length,
      release() {
        bytes.release();
        memory.give(range.length);
      },
    };
  } catch (error) {
    memory.give(range.length);
    throw error;
  }
}

/** @throws CasError also if the blob has become shorter, or the signal has fired */
export async function readExactly(
  range: BlobRange,
  { reader, signal }: Pick<ReadOptions, 'reader' | 'signal'>,
): Promise<BlobBytes> {
  if (range.length === 0) return freeBytes();
  const reading = reader.read(range, { signal });
  const bytes = reading instanceof Promise ? await reading : reading;
  if (bytes.length === range.length) return bytes;
  bytes.release();
  throw new PipelineError('IO', { subject: reader.label, step: 'read', reason: 'is too short' });
}
