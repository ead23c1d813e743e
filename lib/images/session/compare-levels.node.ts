/**
 * The other side knows all its digests: both trees are compared level by level, and only below nodes
 * that differ (spec/formats/session.md, "Levels").
 */
import type { BlockRun } from '../../../formats/block-table.ts';
import { FormatError } from '../../../formats/errors.ts';
import { ROOT_FAN_OUT } from '../../../formats/image-root.ts';
import { encodeAskLevel, IMAGE_KIND } from '../../../formats/session-images.ts';
import { BitSet } from './bit-set.ts';
import { BlockLevels, nodeCount } from './block-levels.ts';
import type { SessionConnection } from './connection.ts';
import { expectMessage } from './expect.ts';
import type { ImageComparison } from './sent-image.node.ts';

/** Nodes that are asked for first, whether they differ or not. */
const FIRST_NODES = 64;
/** Enough to make a collision as unlikely as that of full digests is for this purpose. */
const TREE_DIGEST = 16;
/** Runs of nodes in one question. */
const RUNS_ASKED = 65_536;

/** The source has been read; sends what differs. */
export async function compareLevels(comparison: ImageComparison): Promise<void> {
  const { destination, digest, table } = comparison;
  const count = Math.ceil(destination.size / destination.blockSize);
  const levels = new BlockLevels(digest, table);
  let level = 0;
  while (nodeCount(count, level) > FIRST_NODES) level += 1;
  let asked: Iterable<BlockRun> = [{ first: 0, count: nodeCount(count, level) }];
  for (; ; level--) {
    const differing = await differingNodes(comparison, { levels, level, count, asked });
    if (level === 0) {
      for (const run of differing.runs()) await comparison.sendAgain(run);
      break;
    }
    if (differing.isEmpty) break;
    asked = childrenOf(differing, nodeCount(count, level - 1));
  }
  if (table.count > count) {
    await comparison.sendAgain({ first: count, count: table.count - count });
  }
}

function* childrenOf(nodes: BitSet, count: number): Generator<BlockRun> {
  for (const run of nodes.runs()) {
    const first = run.first * ROOT_FAN_OUT;
    const end = Math.min((run.first + run.count) * ROOT_FAN_OUT, count);
    yield { first, count: end - first };
  }
}

interface Question {
  readonly levels: BlockLevels;
  readonly level: number;
  /** Blocks that the other side has. */
  readonly count: number;
  readonly asked: Iterable<BlockRun>;
}

/** Which of the nodes that are asked for differ, of those that the source has. */
async function differingNodes(
  { connection, digestLength = TREE_DIGEST }: ImageComparison,
  { levels, level, count, asked }: Question,
): Promise<BitSet> {
  const differing = new BitSet(nodeCount(count, level));
  const here = levels.count(level);
  const runs = [...asked];
  const asking = (async () => {
    for (let i = 0; i < runs.length; i += RUNS_ASKED) {
      const nodes = runs.slice(i, i + RUNS_ASKED);
      const question = encodeAskLevel({ level, digestLength, nodes });
      await connection.send(IMAGE_KIND.askLevel, question);
    }
  })();
  const hearing = (async () => {
    const answers = new DigestReader(connection, digestLength);
    for (const { first, count: length } of runs) {
      for (let i = first; i < first + length; i++) {
        const answer = answers.take() ?? (await answers.more());
        const own = i < here ? levels.digests(level, { first: i, count: 1 }) : undefined;
        if (own !== undefined && !beginsWith(own, answer)) differing.add(i);
      }
    }
    answers.finish();
  })();
  await Promise.all([asking, hearing]);
  return differing;
}

/** The digests of answers, one by one. */
class DigestReader {
  readonly #connection: SessionConnection;
  readonly #length: number;
  #content: Uint8Array = new Uint8Array(0);
  #offset = 0;

  constructor(connection: SessionConnection, length: number) {
    this.#connection = connection;
    this.#length = length;
  }

  /** The next one; undefined if the answer is used up. */
  take(): Uint8Array | undefined {
    if (this.#offset === this.#content.length) return undefined;
    const digest = this.#content.subarray(this.#offset, this.#offset + this.#length);
    this.#offset += this.#length;
    return digest;
  }

  /** The first one of the next answer. */
  async more(): Promise<Uint8Array> {
    const { content } = await expectMessage(this.#connection, [IMAGE_KIND.level]);
    this.#content = content;
    this.#offset = 0;
    const digest = content.length % this.#length === 0 ? this.take() : undefined;
    if (digest === undefined) throw new FormatError('session', 'LEVEL', 0, 'whole digests');
    return digest;
  }

  /** @throws FormatError if more has come than was asked for */
  finish(): void {
    if (this.#offset === this.#content.length) return;
    throw new FormatError('session', 'LEVEL', this.#offset, 'as many digests as nodes');
  }
}

function beginsWith(digest: Uint8Array, begin: Uint8Array): boolean {
  for (let i = 0; i < begin.length; i++) if (digest[i] !== begin[i]) return false;
  return true;
}
