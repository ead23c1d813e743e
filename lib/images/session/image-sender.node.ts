/**
 * The side of a session that has an image: finds out with as few bytes as possible which blocks the
 * other side lacks, and sends them. Works the same way for pushes and pulls. Implements
 * spec/formats/session.md, "Images".
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import { type BlockRun, BlockTable } from '../../../formats/block-table.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import { about } from '../../../formats/errors.ts';
import { rootOfTable } from '../../../formats/image-root.ts';
import {
  type DestinationMessage,
  decodeDestination,
  decodeDone,
  encodeEnd,
  encodeSource,
  IMAGE_KIND,
} from '../../../formats/session-images.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { controllerBehind, PipelineError, throwIfAborted } from '../../errors.ts';
import { isZero } from '../../extract/sparse.node.ts';
import { readSource } from '../../make/read-source.node.ts';
import { type ImageSource, imageOfFile } from '../source/image-source.node.ts';
import { beginOf } from '../source/open-image.node.ts';
import { type BlockPortion, BlockScan } from '../source/scan-blocks.node.ts';
import { compareLevels } from './compare-levels.node.ts';
import { compareSegments } from './compare-segments.node.ts';
import { compareStream } from './compare-stream.node.ts';
import type { SessionConnection } from './connection.ts';
import { DataSender } from './data-sender.ts';
import { expectMessage } from './expect.ts';
import type { HeldTable, ImageComparison, SendImageOptions, SentImage } from './sent-image.node.ts';
import { encodeText } from './session-text.ts';

/** Bytes that are read at once when blocks are read again. */
const READ_AT_ONCE = 1024 * 1024;

/**
 * Sends the image; the other side has been told what to do with it.
 * @throws PipelineError `VERIFY_FAILED` if the other side ends up with something else
 */
export async function sendImage(
  connection: SessionConnection,
  options: SendImageOptions,
): Promise<SentImage> {
  for (let attempt = 1; ; attempt++) {
    // Digests in full length leave nothing to chance.
    const digestLength = attempt === 1 ? options.digestLength : DIGEST_LENGTH;
    await connection.send(IMAGE_KIND.source, encodeSource({ size: options.source.size }));
    const { content } = await expectMessage(connection, [IMAGE_KIND.destination]);
    const sender = new ImageSender(connection, decodeDestination(content), options, digestLength);
    const { sent, isEqual } = await sender.send();
    if (isEqual) return sent;
    if (attempt === 2 || options.descriptor === undefined) {
      const reason = 'what has arrived is not what was sent';
      throw new PipelineError('VERIFY_FAILED', { subject: connection.label, reason });
    }
  }
}

class ImageSender implements ImageComparison {
  readonly connection: SessionConnection;
  readonly destination: DestinationMessage;
  readonly digest: BlockDigest;
  readonly table: BlockTable;
  readonly digestLength: number | undefined;
  readonly #options: SendImageOptions;
  readonly #source: ImageSource;
  readonly #data: DataSender;
  readonly #isHeld: boolean;
  #buffer: Uint8Array | undefined;
  #readBytes = 0;
  #unreadableBytes = 0;

  constructor(
    connection: SessionConnection,
    destination: DestinationMessage,
    options: SendImageOptions,
    digestLength: number | undefined,
  ) {
    const { source, held } = options;
    const { blockSize, takenSize } = destination;
    this.connection = connection;
    this.destination = destination;
    this.digest = createBlockDigest(destination.digest);
    this.digestLength = digestLength;
    this.#options = options;
    this.#data = new DataSender(connection);
    const size = Math.min(takenSize ?? Number.POSITIVE_INFINITY, source.size ?? takenSize ?? 0);
    const isShorter = source.size !== undefined && size < source.size;
    this.#source = isShorter ? shortened(source, options.descriptor, size) : source;
    const confirmed = this.#confirmed(held);
    this.#isHeld = confirmed !== undefined;
    this.table = confirmed ?? new BlockTable(blockSize, source.size === undefined ? 0 : size);
  }

  async send(): Promise<{ readonly sent: SentImage; readonly isEqual: boolean }> {
    const way = await this.#sendBlocks();
    await this.#data.flush();
    const { table, digest, connection } = this;
    const { sourceChange, source } = this.#options;
    const change = sourceChange?.();
    const isComplete = this.#unreadableBytes === 0;
    const root = isComplete ? rootOfTable(digest, table) : undefined;
    const end = encodeEnd({
      size: table.size,
      root,
      sourceChange: change === undefined ? undefined : encodeText(change),
      unreadableBytes: this.#unreadableBytes,
    });
    await connection.send(IMAGE_KIND.end, end);
    const done = decodeDone((await expectMessage(connection, [IMAGE_KIND.done])).content);
    const sent: SentImage = {
      done,
      size: source.size ?? table.size,
      table: isComplete ? { table, digest: digest.name } : undefined,
      way,
      sentBlockBytes: this.#data.sentBlockBytes,
      readBytes: this.#readBytes,
      unreadableBytes: this.#unreadableBytes,
      sourceChange: change,
    };
    return { sent, isEqual: root === undefined || equalBytes(root, done.root) };
  }

  async #sendBlocks(): Promise<SentImage['way']> {
    const { destination, table } = this;
    if (this.#isHeld) {
      await this.#sendChanges();
      return 'held';
    }
    if (destination.size === 0) {
      await this.scan((portion) => this.sendPortion(portion, () => true));
      return 'all';
    }
    if (this.#options.descriptor === undefined) {
      await compareStream(this);
      return 'stream';
    }
    if (destination.root === undefined) {
      await compareSegments(this);
      return 'segments';
    }
    await this.scan(() => {});
    if (this.#unreadableBytes === 0 && destination.size === table.size) {
      if (equalBytes(rootOfTable(this.digest, table), destination.root)) return 'equal';
    }
    await compareLevels(this);
    return 'levels';
  }

  /** What is thought to be there, if the other side has said so. */
  #confirmed(held: HeldTable | undefined): BlockTable | undefined {
    const { digest, blockSize, size, root } = this.destination;
    if (held === undefined || root === undefined || held.digest !== digest) return undefined;
    const { table } = held;
    if (table.blockSize !== blockSize || table.size !== size) return undefined;
    return equalBytes(rootOfTable(this.digest, table), root) ? table : undefined;
  }

  /** The table is what the other side has, and becomes what it will have. */
  async #sendChanges(): Promise<void> {
    const { table } = this;
    const { size } = this.#source;
    if (size !== undefined) table.resize(size);
    const isChanged = (portion: BlockPortion) => {
      const digests = portion.digestsOf(portion);
      return (block: number) => !table.has(block, digests, (block - portion.first) * DIGEST_LENGTH);
    };
    await this.scan((portion) => this.sendPortion(portion, isChanged(portion)));
  }

  async scan(onPortion: (portion: BlockPortion) => Promise<void> | void): Promise<void> {
    const { signal, threadCount, skipsUnreadable = false, onProgress } = this.#options;
    const { blockSize, digest } = this.destination;
    const controller = controllerBehind(signal);
    const scan = new BlockScan({
      blockSize,
      digest,
      threadCount,
      skipsUnreadable,
      signal: controller.signal,
    });
    let size = 0;
    try {
      for await (const portion of scan.scan(this.#source)) {
        try {
          size = portion.start + portion.length;
          if (portion.hasBytes) this.#readBytes += portion.length;
          await onPortion(portion);
          this.#remember(portion, size);
        } finally {
          portion.release();
        }
        onProgress?.(size, this.#source.size);
      }
    } finally {
      controller.abort();
      await scan.close();
    }
    this.#shrink(size);
  }

  #remember(portion: BlockPortion, size: number): void {
    if (size > this.table.size) this.table.resize(size);
    for (const run of portion.runs()) {
      if (run.kind !== 'unreadable') this.table.set(run.first, portion.digestsOf(run));
      else this.#unreadableBytes += this.#lengthOf(run, size);
    }
  }

  /** A stream has turned out to be shorter than what the table was of. */
  #shrink(size: number): void {
    const { table } = this;
    if (table.size === size) return;
    const count = Math.ceil(size / table.blockSize);
    const last = count === 0 ? undefined : table.digests(count - 1, 1).slice();
    table.resize(size);
    if (last !== undefined) table.set(count - 1, last);
  }

  #lengthOf({ first, count }: BlockRun, end: number): number {
    const { blockSize } = this.table;
    return Math.min((first + count) * blockSize, end) - first * blockSize;
  }

  async sendPortion(portion: BlockPortion, isWanted: (block: number) => boolean): Promise<void> {
    const { blockSize } = this.destination;
    const end = portion.start + portion.length;
    for (const { first, count, kind } of portion.runs()) {
      for (const run of partsOf(first, count, isWanted)) {
        if (kind === 'unreadable') await this.#standIn(run);
        else if (kind === 'data') await this.#sendRun(portion, run);
        else {
          // How short the last block of a stream is, only its bytes tell.
          const isWhole = !portion.hasBytes || (run.first + run.count) * blockSize <= end;
          const zeros = isWhole ? run.count : run.count - 1;
          if (zeros > 0) await this.#data.zeros({ first: run.first, count: zeros });
          if (!isWhole) await this.#sendRun(portion, { first: run.first + zeros, count: 1 });
        }
      }
    }
  }

  #sendRun(portion: BlockPortion, run: BlockRun): Promise<void> {
    return this.#data.data(run, portion.digestsOf(run), portion.bytesOf(run));
  }

  /** What cannot be read stays as it is there; where nothing is, zeros stand in. */
  async #standIn({ first, count }: BlockRun): Promise<void> {
    const there = Math.ceil(this.destination.size / this.destination.blockSize);
    const from = Math.max(first, there);
    if (from < first + count) await this.#data.zeros({ first: from, count: first + count - from });
  }

  async sendAgain({ first, count }: BlockRun): Promise<void> {
    const isUnknown = (block: number) => this.table.isUnknown(block);
    for (let i = first; i < first + count; ) {
      const [start, wasUnknown] = [i, isUnknown(i)];
      while (i < first + count && isUnknown(i) === wasUnknown) i += 1;
      const run = { first: start, count: i - start };
      if (wasUnknown) await this.#standIn(run);
      else await this.#readAgain(run);
    }
  }

  async #readAgain({ first, count }: BlockRun): Promise<void> {
    const { blockSize } = this.table;
    const atOnce = Math.max(1, Math.floor(READ_AT_ONCE / blockSize));
    for (let done = 0; done < count; done += atOnce) {
      throwIfAborted(this.#options.signal);
      const run = { first: first + done, count: Math.min(atOnce, count - done) };
      await this.#sendFresh(run, this.#read(run, atOnce * blockSize));
    }
  }

  #read(run: BlockRun, room: number): Uint8Array {
    this.#buffer ??= new Uint8Array(room);
    const bytes = this.#buffer.subarray(0, this.#lengthOf(run, this.table.size));
    const { descriptor = -1, source } = this.#options;
    try {
      readSource(descriptor, bytes, run.first * this.table.blockSize);
    } catch (error) {
      throw about(source.label, error);
    }
    this.#readBytes += bytes.length;
    return bytes;
  }

  /** The digests are of the bytes as they are now, whatever they were when they were compared. */
  async #sendFresh(run: BlockRun, bytes: Uint8Array): Promise<void> {
    const { table, digest } = this;
    const digests = new Uint8Array(run.count * DIGEST_LENGTH);
    const zeros = new Set<number>();
    for (let i = 0; i < run.count; i++) {
      const block = bytes.subarray(i * table.blockSize, (i + 1) * table.blockSize);
      digest.write(block, digests, i * DIGEST_LENGTH);
      if (isZero(block)) zeros.add(i);
    }
    table.set(run.first, digests);
    for (let i = 0; i < run.count; ) {
      const isZeros = zeros.has(i);
      const start = i;
      while (i < run.count && zeros.has(i) === isZeros) i += 1;
      const part = { first: run.first + start, count: i - start };
      const cut = (all: Uint8Array, size: number) => all.subarray(start * size, i * size);
      if (isZeros) await this.#data.zeros(part);
      else await this.#data.data(part, cut(digests, DIGEST_LENGTH), cut(bytes, table.blockSize));
    }
  }
}

function* partsOf(
  first: number,
  count: number,
  isWanted: (block: number) => boolean,
): Generator<BlockRun> {
  for (let i = first; i < first + count; ) {
    const start = i;
    while (i < first + count && isWanted(i)) i += 1;
    if (i > start) yield { first: start, count: i - start };
    else i += 1;
  }
}

function shortened(source: ImageSource, descriptor: number | undefined, size: number): ImageSource {
  if (descriptor === undefined) return beginOf(source, size);
  return imageOfFile({ descriptor, label: source.label, size });
}
