/**
 * The other side must read what it has: both sides read at the same time, and compare a root for every
 * 64 MiB; only of segments that differ all digests cross (spec/formats/session.md, "Segments").
 */
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import { FormatError } from '../../../formats/errors.ts';
import {
  decodeNumbered,
  encodeAskReading,
  encodeNumbered,
  IMAGE_KIND,
  MAX_SEGMENT_BLOCKS,
} from '../../../formats/session-images.ts';
import { abortedError } from '../../errors.ts';
import { topOf } from './block-levels.ts';
import { expectMessage } from './expect.ts';
import { Position } from './position.ts';
import type { ImageComparison } from './sent-image.node.ts';

const SEGMENT_SIZE = 64 * 1024 * 1024;
const SEGMENT_ROOT = 16;
/** A collision is noticed at the end, by the root of the whole. */
const SHORT_DIGEST = 8;

/** Reads the source; sends what differs, in order. */
export async function compareSegments(comparison: ImageComparison): Promise<void> {
  const scanned = new Position();
  const comparing = new SegmentComparison(comparison, scanned);
  let isOver = false;
  const reading = comparison
    .scan((portion) => {
      if (isOver) throw abortedError();
      // What is remembered of the portion is there once the next one is asked for.
      scanned.reach(portion.first);
    })
    .then(
      () => scanned.reach(Number.POSITIVE_INFINITY),
      (error: unknown) => scanned.fail(error),
    );
  try {
    await comparing.run();
  } finally {
    isOver = true;
    await reading;
  }
}

class SegmentComparison {
  readonly #comparison: ImageComparison;
  readonly #scanned: Position;
  readonly #digestLength: number;
  readonly #segmentBlocks: number;
  /** Blocks that the other side has. */
  readonly #count: number;

  constructor(comparison: ImageComparison, scanned: Position) {
    const { blockSize, size } = comparison.destination;
    this.#comparison = comparison;
    this.#scanned = scanned;
    this.#digestLength = comparison.digestLength ?? SHORT_DIGEST;
    const fitting = Math.max(1, Math.floor(SEGMENT_SIZE / blockSize));
    this.#segmentBlocks = Math.min(fitting, MAX_SEGMENT_BLOCKS);
    this.#count = Math.ceil(size / blockSize);
  }

  async run(): Promise<void> {
    const { connection, table } = this.#comparison;
    const question = { digestLength: this.#digestLength, segmentBlocks: this.#segmentBlocks };
    await connection.send(IMAGE_KIND.askReading, encodeAskReading(question));
    const segments = Math.ceil(this.#count / this.#segmentBlocks);
    const asked: number[] = [];
    for (let heard = 0; heard < segments || asked.length > 0; ) {
      const kinds = [IMAGE_KIND.segment, IMAGE_KIND.digests];
      const { kind, content } = await expectMessage(connection, kinds);
      const { number, bytes } = decodeNumbered('SEGMENT', content);
      if (kind === IMAGE_KIND.digests) {
        if (number !== asked.shift()) throw wrong('a segment that was asked for');
        await this.#send(number, bytes);
        connection.giveBack(content);
      } else {
        if (number !== heard++ || number >= segments) throw wrong('the next segment');
        if (!(await this.#differs(number, bytes))) continue;
        asked.push(number);
        const ask = encodeNumbered(number, new Uint8Array(0));
        await connection.send(IMAGE_KIND.askSegment, ask);
      }
    }
    await this.#scanned.reached(Number.POSITIVE_INFINITY);
    const rest = { first: this.#count, count: table.count - this.#count };
    if (rest.count > 0) await this.#comparison.sendAgain(rest);
  }

  /** The blocks of a segment that both sides have. */
  #blocks(segment: number): { readonly first: number; readonly end: number } {
    const first = segment * this.#segmentBlocks;
    return { first, end: Math.min(first + this.#segmentBlocks, this.#count) };
  }

  async #differs(segment: number, root: Uint8Array): Promise<boolean> {
    const { table, digest } = this.#comparison;
    const { first, end } = this.#blocks(segment);
    if (root.length !== SEGMENT_ROOT) throw wrong(`${SEGMENT_ROOT} bytes`);
    if (first >= table.count) return false;
    await this.#scanned.reached(Math.min(end, table.count));
    if (end > table.count) return true;
    const own = topOf(digest, table.digests(first, end - first));
    return root.some((byte, i) => byte !== own[i]);
  }

  async #send(segment: number, theirs: Uint8Array): Promise<void> {
    const { table } = this.#comparison;
    const length = this.#digestLength;
    const { first, end } = this.#blocks(segment);
    if (theirs.length !== (end - first) * length) throw wrong('a digest for each block');
    const last = Math.min(end, table.count);
    const own = table.digests(first, last - first);
    const differs = (i: number): boolean => {
      for (let j = 0; j < length; j++) {
        if (own[i * DIGEST_LENGTH + j] !== theirs[i * length + j]) return true;
      }
      return false;
    };
    for (let i = 0; i < last - first; ) {
      const start = i;
      while (i < last - first && differs(i)) i += 1;
      if (i === start) i += 1;
      else await this.#comparison.sendAgain({ first: first + start, count: i - start });
    }
  }
}

function wrong(expectation: string): FormatError {
  return new FormatError('session', 'SEGMENT', 0, expectation);
}
