/**
 * The side of a session that gets an image: says what it has, answers questions about it, and writes
 * blocks whose digests it has checked. Works the same way for pushes and pulls. Implements
 * spec/formats/session.md, "Images".
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockRun } from '../../../formats/block-table.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import { FormatError } from '../../../formats/errors.ts';
import {
  type DataMessage,
  type DataRun,
  decodeData,
  decodeEnd,
  decodeSource,
  type EndMessage,
  encodeDestination,
  encodeDone,
  IMAGE_KIND,
  MAX_SESSION_BLOCK,
} from '../../../formats/session-images.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { PipelineError } from '../../errors.ts';
import type { SinkResult } from '../block-sink.ts';
import type { ImageUpdate } from '../destination/image-update.ts';
import { ZeroDigests } from '../zero-digests.ts';
import type { SessionConnection } from './connection.ts';
import { DigestTeller } from './digest-teller.ts';
import { expectMessage } from './expect.ts';
import { decodeText } from './session-text.ts';

/** What is needed of an update. */
export type ReceivingUpdate = Pick<
  ImageUpdate,
  | 'abandon'
  | 'blockSize'
  | 'destination'
  | 'digest'
  | 'finish'
  | 'isMapClean'
  | 'known'
  | 'readBytes'
  | 'readDestination'
  | 'readings'
  | 'root'
  | 'size'
  | 'write'
>;

export interface ReceiveImageOptions {
  /** Opens the destination. @param size bytes of the image, undefined for a stream */
  readonly open: (size: number | undefined) => Promise<ReceivingUpdate>;
  /** Where the source has come to, as far as it can be seen from here. */
  readonly onProgress?: (doneBytes: number, totalBytes: number | undefined) => void;
  /** Told what was written. */
  readonly onWritten?: (run: BlockRun) => void;
  /** Everything is durable; the other side hears of it once this resolves. */
  readonly onFinished?: () => Promise<void>;
}

export interface ReceivedImage extends SinkResult {
  readonly size: number;
  readonly readBytes: number;
  readonly receivedBlockBytes: number;
  readonly unreadableBytes: number;
  /** How the source has changed while it was read. */
  readonly sourceChange: string | undefined;
}

const ZEROS_AT_ONCE = 16_384;

/**
 * Receives an image; both sides know that one comes.
 * @throws PipelineError `VERIFY_FAILED` for blocks that are not what they are said to be; FormatError
 */
export async function receiveImage(
  connection: SessionConnection,
  options: ReceiveImageOptions,
): Promise<ReceivedImage> {
  for (;;) {
    const { content } = await expectMessage(connection, [IMAGE_KIND.source]);
    const { size } = decodeSource(content);
    const update = await options.open(size);
    try {
      const receiver = new ImageReceiver(connection, update, options, size);
      const { received, isEqual } = await receiver.receive();
      // Else the other side begins again, with digests in full length.
      if (isEqual) return received;
    } finally {
      await update.abandon();
    }
  }
}

class ImageReceiver {
  readonly #connection: SessionConnection;
  readonly #update: ReceivingUpdate;
  readonly #options: ReceiveImageOptions;
  readonly #sourceSize: number | undefined;
  readonly #digest: BlockDigest;
  readonly #zeros: ZeroDigests;
  /** Behind the last block that has come. */
  #end = 0;
  #hasShortBlock = false;
  /** Digests of blocks that have come. */
  #found: Uint8Array = new Uint8Array(0);
  #receivedBlockBytes = 0;

  constructor(
    connection: SessionConnection,
    update: ReceivingUpdate,
    options: ReceiveImageOptions,
    sourceSize: number | undefined,
  ) {
    this.#connection = connection;
    this.#update = update;
    this.#options = options;
    this.#sourceSize = sourceSize;
    this.#digest = createBlockDigest(update.digest);
    this.#zeros = new ZeroDigests(this.#digest, update.blockSize);
  }

  async receive(): Promise<{ readonly received: ReceivedImage; readonly isEqual: boolean }> {
    const teller = await this.#describe();
    const { askLevel, askReading, askSegment, data, end } = IMAGE_KIND;
    try {
      for (;;) {
        const kinds = [askLevel, askReading, askSegment, data, end];
        const { kind, content } = await expectMessage(this.#connection, kinds);
        if (kind === end) return await this.#finish(decodeEnd(content), teller);
        if (kind === askLevel) await teller.answerLevel(content);
        else if (kind === askReading) teller.startReading(content);
        else if (kind === askSegment) await teller.answerSegment(content);
        else {
          await this.#write(decodeData(content, this.#update.blockSize), teller);
          this.#connection.giveBack(content);
        }
      }
    } finally {
      await teller.stop();
    }
  }

  async #describe(): Promise<DigestTeller> {
    const { blockSize, digest, known, size, isMapClean, root, destination } = this.#update;
    if (blockSize > MAX_SESSION_BLOCK) {
      const reason = `blocks of more than ${MAX_SESSION_BLOCK} bytes do not go over a session`;
      throw new PipelineError('USAGE', { subject: destination.path, reason });
    }
    // A map that is not clean may tell of what will be cut off.
    const described = isMapClean ? known.size : Math.min(known.size, size ?? known.size);
    const message = {
      blockSize,
      digest,
      size: described,
      takenSize: size,
      root: isMapClean ? root : undefined,
    };
    await this.#connection.send(IMAGE_KIND.destination, encodeDestination(message));
    return new DigestTeller({
      connection: this.#connection,
      update: this.#update,
      digest: this.#digest,
      count: Math.ceil(described / blockSize),
    });
  }

  async #write({ runs, digests, bytes }: DataMessage, teller: DigestTeller): Promise<void> {
    const { blockSize } = this.#update;
    let block = 0;
    for (const run of runs) {
      this.#checkPlace(run);
      await teller.mayWrite(run.first + run.count);
      if (run.isZero) await this.#writeZeros(run);
      else {
        const part = bytes.subarray(block * blockSize, (block + run.count) * blockSize);
        const names = digests.subarray(block * DIGEST_LENGTH, (block + run.count) * DIGEST_LENGTH);
        this.#checkLength(run, part.length);
        this.#checkDigests(run, names, part);
        this.#receivedBlockBytes += part.length;
        await this.#update.write(run, names, part);
        block += run.count;
      }
      this.#options.onWritten?.(run);
    }
    this.#options.onProgress?.(this.#end * blockSize, this.#sourceSize);
  }

  #checkPlace({ first, count }: DataRun): void {
    const { size, blockSize } = this.#update;
    const isInside = size === undefined || (first + count - 1) * blockSize < size;
    if (first < this.#end || !isInside || this.#hasShortBlock) {
      throw wrong('DATA', 'blocks of the image in ascending order');
    }
    this.#end = first + count;
  }

  /** Only the last block of the image is shorter. */
  #checkLength({ first, count }: BlockRun, length: number): void {
    const { size, blockSize } = this.#update;
    const start = first * blockSize;
    const isWhole = length === count * blockSize;
    this.#hasShortBlock = !isWhole;
    const end = Math.min(start + count * blockSize, size ?? Number.POSITIVE_INFINITY);
    const isRight = size === undefined ? true : start + length === end;
    if (!isRight) throw wrong('DATA', 'whole blocks');
  }

  #checkDigests({ first, count }: BlockRun, digests: Uint8Array, bytes: Uint8Array): void {
    const { blockSize, destination } = this.#update;
    if (this.#found.length < digests.length) this.#found = new Uint8Array(digests.length);
    const found = this.#found.subarray(0, digests.length);
    for (let i = 0; i < count; i++) {
      this.#digest.write(
        bytes.subarray(i * blockSize, (i + 1) * blockSize),
        found,
        i * DIGEST_LENGTH,
      );
    }
    if (equalBytes(found, digests)) return;
    const reason = `blocks from ${first} on are not what their digests say; nothing of them is written`;
    throw new PipelineError('VERIFY_FAILED', { subject: destination.path, reason });
  }

  async #writeZeros({ first, count }: BlockRun): Promise<void> {
    const { size, blockSize } = this.#update;
    for (let done = 0; done < count; done += ZEROS_AT_ONCE) {
      const run = { first: first + done, count: Math.min(ZEROS_AT_ONCE, count - done) };
      const end = Math.min((run.first + run.count) * blockSize, size ?? Number.POSITIVE_INFINITY);
      const digests = this.#zeros.of(end - run.first * blockSize);
      await this.#update.write(run, digests, undefined);
    }
  }

  async #finish(
    end: EndMessage,
    teller: DigestTeller,
  ): Promise<{ readonly received: ReceivedImage; readonly isEqual: boolean }> {
    const update = this.#update;
    const { size, root, unreadableBytes, sourceChange } = end;
    if (size !== (update.size ?? size)) throw wrong('END', 'the size of the image');
    await teller.finished();
    if (unreadableBytes > 0) await update.readDestination();
    const result = await update.finish(size);
    await this.#options.onFinished?.();
    const done = { ...result, readBytes: update.readBytes };
    await this.#connection.send(IMAGE_KIND.done, encodeDone(done));
    const received = {
      ...done,
      size,
      receivedBlockBytes: this.#receivedBlockBytes,
      unreadableBytes,
      sourceChange: sourceChange === undefined ? undefined : decodeText(sourceChange),
    };
    return { received, isEqual: root === undefined || equalBytes(root, result.root) };
  }
}

function wrong(record: string, expectation: string): FormatError {
  return new FormatError('session', record, 0, expectation);
}
