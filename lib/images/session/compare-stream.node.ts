/**
 * The source can be read only once: the other side tells short digests of all it has, and the source is
 * read behind them (spec/formats/session.md, "Streams").
 */
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import { FormatError } from '../../../formats/errors.ts';
import { decodeNumbered, encodeAskReading, IMAGE_KIND } from '../../../formats/session-images.ts';
import type { BlockPortion } from '../source/scan-blocks.node.ts';
import { expectMessage } from './expect.ts';
import { Position } from './position.ts';
import type { ImageComparison } from './sent-image.node.ts';

/** A collision is noticed at the end, by the root of the whole. */
const SHORT_DIGEST = 8;

/** Reads the source; sends what differs. */
export async function compareStream(comparison: ImageComparison): Promise<void> {
  const { destination, connection, digestLength = SHORT_DIGEST } = comparison;
  const theirs = new TheirDigests(
    Math.ceil(destination.size / destination.blockSize),
    digestLength,
  );
  const question = { digestLength, segmentBlocks: 0 };
  await connection.send(IMAGE_KIND.askReading, encodeAskReading(question));
  const hearing = (async () => {
    try {
      while (!theirs.isComplete) {
        const { content } = await expectMessage(connection, [IMAGE_KIND.digests]);
        const { number, bytes } = decodeNumbered('DIGESTS', content);
        theirs.add(number, bytes);
        connection.giveBack(content);
      }
    } catch (error) {
      theirs.position.fail(error);
    }
  })();
  await comparison.scan(async (portion) => {
    await theirs.position.reached(Math.min(portion.first + portion.count, theirs.count));
    await comparison.sendPortion(portion, theirs.differences(portion));
  });
  await theirs.position.reached(theirs.count);
  await hearing;
}

class TheirDigests {
  /** Blocks that the other side has. */
  readonly count: number;
  readonly position = new Position();
  readonly #length: number;
  readonly #digests: Uint8Array;
  #known = 0;

  constructor(count: number, length: number) {
    this.count = count;
    this.#length = length;
    this.#digests = new Uint8Array(count * length);
  }

  get isComplete(): boolean {
    return this.#known === this.count;
  }

  /** @throws FormatError if they are not the next ones */
  add(first: number, digests: Uint8Array): void {
    const count = digests.length / this.#length;
    const isNext = first === this.#known && Number.isInteger(count) && first + count <= this.count;
    if (!isNext || count === 0) throw new FormatError('session', 'DIGESTS', 0, 'the next ones');
    this.#digests.set(digests, first * this.#length);
    this.#known += count;
    this.position.reach(this.#known);
  }

  /** Which blocks of a portion are not there. */
  differences(portion: BlockPortion): (block: number) => boolean {
    const own = portion.digestsOf(portion);
    return (block) => {
      if (block >= this.count) return true;
      const at = (block - portion.first) * DIGEST_LENGTH;
      for (let i = 0; i < this.#length; i++) {
        if (own[at + i] !== this.#digests[block * this.#length + i]) return true;
      }
      return false;
    };
  }
}
