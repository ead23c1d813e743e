/**
 * What a destination knows of itself, told to the side that has the image (spec/formats/session.md,
 * "Images"): digests of its tree, of segments, of blocks, while it is read if need be.
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockRun } from '../../../formats/block-table.ts';
import { writeU64 } from '../../../formats/bytes.ts';
import { FormatError } from '../../../formats/errors.ts';
import {
  decodeAskLevel,
  decodeAskReading,
  decodeNumbered,
  encodeNumbered,
  IMAGE_KIND,
  putTruncated,
} from '../../../formats/session-images.ts';
import { unattended } from '../../work/unattended.ts';
import type { ImageUpdate } from '../destination/image-update.ts';
import { BlockLevels, topOf } from './block-levels.ts';
import type { SessionConnection } from './connection.ts';
import { Position } from './position.ts';

const DIGESTS_AT_ONCE = 32_768;
const SEGMENT_ROOT = 16;

export interface DigestTellerParts {
  readonly connection: SessionConnection;
  readonly update: Pick<ImageUpdate, 'isMapClean' | 'known' | 'readings'>;
  readonly digest: BlockDigest;
  /** Blocks that the other side was told of. */
  readonly count: number;
}

export class DigestTeller {
  readonly #connection: SessionConnection;
  readonly #update: DigestTellerParts['update'];
  readonly #digest: BlockDigest;
  readonly #count: number;
  /** Blocks before it may be written. */
  readonly #passed = new Position();
  #levels: BlockLevels | undefined;
  #reading: Promise<void> | undefined;
  #stop = (): void => {};
  #hasWritten = false;
  #segmentBlocks = 0;
  #digestLength = 0;

  constructor({ connection, update, digest, count }: DigestTellerParts) {
    this.#connection = connection;
    this.#update = update;
    this.#digest = digest;
    this.#count = count;
  }

  /** Resolves when what was read is no longer needed in place of these blocks. */
  async mayWrite(end: number): Promise<void> {
    // Levels are no longer true.
    this.#levels = undefined;
    this.#hasWritten = true;
    if (this.#reading !== undefined) await this.#passed.reached(end);
  }

  /** Resolves when everything has been told. @throws what reading has failed with */
  async finished(): Promise<void> {
    await this.mayWrite(Number.POSITIVE_INFINITY);
  }

  /** Tells nothing more. Resolves when nothing more is read. */
  async stop(): Promise<void> {
    this.#stop();
    await this.#reading;
  }

  /** To ASK LEVEL, before any block was written. @throws FormatError */
  async answerLevel(content: Uint8Array): Promise<void> {
    const { level, digestLength, nodes } = decodeAskLevel(content);
    const { known, isMapClean } = this.#update;
    if (!isMapClean || this.#hasWritten) throw wrong('ASK LEVEL', 'digests are not all known now');
    this.#levels ??= new BlockLevels(this.#digest, known);
    const levels = this.#levels;
    const answer = new Answer(this.#connection, digestLength);
    for (const { first, count } of nodes) {
      if (first + count > levels.count(level)) throw wrong('ASK LEVEL', 'nodes that there are');
      for (let done = 0; done < count; done += DIGESTS_AT_ONCE) {
        const run = { first: first + done, count: Math.min(DIGESTS_AT_ONCE, count - done) };
        await answer.add(levels.digests(level, run));
      }
    }
    await answer.flush();
  }

  /** To ASK READING: reads, and tells what is found, until {@link stop}. @throws FormatError */
  startReading(content: Uint8Array): void {
    if (this.#reading !== undefined) throw wrong('ASK READING', 'once');
    const { digestLength, segmentBlocks } = decodeAskReading(content);
    this.#digestLength = digestLength;
    this.#segmentBlocks = segmentBlocks;
    const stopped = new Promise<'stopped'>((resolve) => {
      this.#stop = () => resolve('stopped');
    });
    this.#reading = this.#read(stopped).then(
      () => this.#passed.reach(Number.POSITIVE_INFINITY),
      // Told to whoever writes or ends.
      (error: unknown) => this.#passed.fail(error),
    );
  }

  /** The other side need not take what is told any more, once all is over. */
  async #read(stopped: Promise<'stopped'>): Promise<void> {
    const told = { count: 0 };
    for await (const { first, count } of this.#update.readings()) {
      this.#passed.reach(first);
      const telling = unattended(this.#tell(told, Math.min(first + count, this.#count)));
      if ((await Promise.race([telling, stopped])) === 'stopped') return;
    }
    const telling = unattended(this.#tell(told, this.#count, true));
    await Promise.race([telling, stopped]);
  }

  /** Tells of blocks that have become known, as whole segments where those are told. */
  async #tell(told: { count: number }, known: number, isAll = false): Promise<void> {
    const { known: table } = this.#update;
    const atOnce = this.#segmentBlocks || DIGESTS_AT_ONCE;
    while (told.count < known) {
      const first = told.count;
      const count = Math.min(atOnce, known - first);
      if (this.#segmentBlocks > 0 && count < atOnce && !isAll) return;
      told.count += count;
      if (this.#segmentBlocks === 0) await this.#tellDigests(first, { first, count });
      else {
        const root = topOf(this.#digest, table.digests(first, count)).slice(0, SEGMENT_ROOT);
        const segment = encodeNumbered(first / atOnce, root);
        await this.#connection.send(IMAGE_KIND.segment, segment);
      }
    }
  }

  async #tellDigests(number: number, { first, count }: BlockRun): Promise<void> {
    const content = this.#connection.lend(8 + count * this.#digestLength);
    writeU64(content, 0, number);
    putTruncated(this.#update.known.digests(first, count), this.#digestLength, content, 8);
    await this.#connection.sendLent(IMAGE_KIND.digests, content);
  }

  /** To ASK SEGMENT. @throws FormatError */
  async answerSegment(content: Uint8Array): Promise<void> {
    const { number } = decodeNumbered('ASK SEGMENT', content);
    const first = number * this.#segmentBlocks;
    const count = Math.min(this.#segmentBlocks, this.#count - first);
    if (count <= 0) throw wrong('ASK SEGMENT', 'a segment that there is');
    await this.#tellDigests(number, { first, count });
  }
}

/** Digests that are sent many at a time. */
class Answer {
  readonly #connection: SessionConnection;
  readonly #digestLength: number;
  #content: Uint8Array;
  #length = 0;

  constructor(connection: SessionConnection, digestLength: number) {
    this.#connection = connection;
    this.#digestLength = digestLength;
    this.#content = connection.lend(DIGESTS_AT_ONCE * digestLength);
  }

  /** @param digests 32 bytes each, at most {@link DIGESTS_AT_ONCE} */
  async add(digests: Uint8Array): Promise<void> {
    const length = (digests.length / DIGEST_LENGTH) * this.#digestLength;
    if (this.#length + length > this.#content.length) await this.flush();
    putTruncated(digests, this.#digestLength, this.#content, this.#length);
    this.#length += length;
  }

  async flush(): Promise<void> {
    if (this.#length === 0) return;
    const content = this.#content.subarray(0, this.#length);
    this.#length = 0;
    this.#content = this.#connection.lend(DIGESTS_AT_ONCE * this.#digestLength);
    await this.#connection.sendLent(IMAGE_KIND.level, content);
  }
}

function wrong(record: string, expectation: string): FormatError {
  return new FormatError('session', record, 0, expectation);
}
