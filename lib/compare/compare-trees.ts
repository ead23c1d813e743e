/**
 * Two trees side by side: both come in the same order, so that what only one of them has, and in what
 * the others differ, is told while they are read, in bounded memory. Used by diff and verify.
 */
import { compareBytes, equalBytes } from '../../formats/bytes.ts';
import type { CatarEvent, CatarNode, EnterEvent } from '../../formats/catar-events.ts';
import { PathTracker } from '../read/path-tracker.ts';
import { differentAspects, type NodeAspect } from './compare-nodes.ts';
import { equalLength, type IndexPlace } from './equal-chunks.ts';
import type { NodeReducer } from './reduce-node.ts';
import type { TreeReader } from './tree-reader.ts';

/** An entry that is not the same in both trees. Nodes are reduced to what was compared. */
export type EntryDifference =
  | { readonly kind: 'removed'; readonly path: Uint8Array; readonly before: CatarNode }
  | { readonly kind: 'added'; readonly path: Uint8Array; readonly after: CatarNode }
  | {
      readonly kind: 'changed';
      readonly path: Uint8Array;
      readonly before: CatarNode;
      readonly after: CatarNode;
      readonly aspects: readonly NodeAspect[];
    };

export interface CompareTreesOptions {
  /** What of the nodes is compared. */
  readonly reduce: NodeReducer;
  /** May return a promise to be waited for. */
  readonly onDifference: (difference: EntryDifference) => Promise<void> | undefined;
}

export interface TreeComparison {
  readonly addedCount: number;
  readonly removedCount: number;
  readonly changedCount: number;
}

/**
 * Compares all of both trees.
 * @throws whatever the readers and `onDifference` throw
 */
export async function compareTrees(
  before: TreeReader,
  after: TreeReader,
  options: CompareTreesOptions,
): Promise<TreeComparison> {
  const comparison = new Comparison(new Side(before, options), new Side(after, options), options);
  await comparison.run();
  return comparison.counts;
}

type Counts = { -readonly [Name in keyof TreeComparison]: number };

class Comparison {
  readonly counts: Counts = { addedCount: 0, removedCount: 0, changedCount: 0 };
  readonly #before: Side;
  readonly #after: Side;
  readonly #tell: CompareTreesOptions['onDifference'];
  readonly #path = new PathTracker();

  constructor(before: Side, after: Side, { onDifference }: CompareTreesOptions) {
    this.#before = before;
    this.#after = after;
    this.#tell = onDifference;
  }

  async run(): Promise<void> {
    // The root of each is a folder without name. From here on both sides are at the same depth.
    await this.#before.advance();
    await this.#after.advance();
    await this.#compareEntries();
    while (this.#path.depth > 0) {
      const order = compareHeads(this.#before.head, this.#after.head);
      if (order < 0) await this.#takeWhole(this.#before, 'removed');
      else if (order > 0) await this.#takeWhole(this.#after, 'added');
      else if (this.#before.head?.kind === 'enter') await this.#compareEntries();
      else await this.#leaveFolder();
    }
  }

  async #leaveFolder(): Promise<void> {
    this.#path.leave();
    await this.#before.advance();
    await this.#after.advance();
  }

  /** Both sides are at entries of the same name. */
  async #compareEntries(): Promise<void> {
    const before = this.#before.entered();
    const after = this.#after.entered();
    this.#path.enter(before.name);
    const { path } = this.#path;
    const [a, b] = [before.node, after.node];
    const aspects = [...differentAspects(a, b)];
    if (a.type === 'file' && b.type === 'file' && !(await this.#hasSameContent(a, b))) {
      aspects.unshift('content');
    }
    if (aspects.length > 0) {
      this.counts.changedCount += 1;
      await this.#tell({ kind: 'changed', path, before: a, after: b, aspects });
    }
    if (a.type === 'directory' && b.type === 'directory') {
      await this.#before.advance();
      await this.#after.advance();
      return;
    }
    await this.#takeRest(this.#before, a, 'removed');
    await this.#takeRest(this.#after, b, 'added');
    this.#path.leave();
  }

  async #hasSameContent({ size }: CatarNode, b: CatarNode): Promise<boolean> {
    const { contentPlace: left } = this.#before.reader;
    const { contentPlace: right } = this.#after.reader;
    let isSame = size === b.size;
    for (let done = 0; isSame && done < size; ) {
      const known =
        left && right ? equalLength(behind(left, done), behind(right, done), size - done) : 0;
      if (known > 0) {
        this.#before.skip(known);
        this.#after.skip(known);
        done += known;
        continue;
      }
      const before = await this.#before.content();
      const after = await this.#after.content();
      const length = Math.min(before.length, after.length);
      isSame = equalBytes(before.subarray(0, length), after.subarray(0, length));
      this.#before.skip(length);
      this.#after.skip(length);
      done += length;
    }
    if (!isSame) for (const side of [this.#before, this.#after]) side.reader.skipContent();
    return isSame;
  }

  /** The entry that a side is at, with all that is in it, which the other side lacks. */
  async #takeWhole(side: Side, kind: 'removed' | 'added'): Promise<void> {
    const { name, node } = side.entered();
    this.#path.enter(name);
    await this.#tellOf(kind, node);
    if (node.type === 'file') side.reader.skipContent();
    await this.#takeRest(side, node, kind);
    this.#path.leave();
  }

  /** What is in an entry, up to what follows the entry. */
  async #takeRest(side: Side, node: CatarNode, kind: 'removed' | 'added'): Promise<void> {
    if (node.type !== 'directory') return side.passContent();
    const { depth } = this.#path;
    await side.advance();
    while (this.#path.depth > depth || side.head?.kind === 'enter') {
      if (side.head?.kind !== 'enter') {
        this.#path.leave();
        await side.advance();
        continue;
      }
      const entered = side.entered();
      this.#path.enter(entered.name);
      await this.#tellOf(kind, entered.node);
      if (entered.node.type === 'directory') await side.advance();
      else {
        if (entered.node.type === 'file') side.reader.skipContent();
        await side.passContent();
        this.#path.leave();
      }
    }
    await side.advance();
  }

  #tellOf(kind: 'removed' | 'added', node: CatarNode): Promise<void> | undefined {
    const { path } = this.#path;
    if (kind === 'removed') {
      this.counts.removedCount += 1;
      return this.#tell({ kind, path, before: node });
    }
    this.counts.addedCount += 1;
    return this.#tell({ kind, path, after: node });
  }
}

/** Entries come before the end of their folder, by name. */
function compareHeads(a: CatarEvent | undefined, b: CatarEvent | undefined): number {
  if (a?.kind === 'enter' && b?.kind === 'enter') return compareBytes(a.name, b.name);
  return Number(b?.kind === 'enter') - Number(a?.kind === 'enter');
}

function behind({ index, offset }: IndexPlace, length: number): IndexPlace {
  return { index, offset: offset + length };
}

const NOTHING = new Uint8Array(0);

/** One of the trees, with the event that it is at. Nodes that are not compared are passed over. */
class Side {
  readonly reader: TreeReader;
  head: CatarEvent | undefined;
  readonly #reduce: NodeReducer;
  #content: Uint8Array = NOTHING;

  constructor(reader: TreeReader, { reduce }: CompareTreesOptions) {
    this.reader = reader;
    this.#reduce = reduce;
  }

  /** Goes to the next event. */
  async advance(): Promise<void> {
    for (;;) {
      const event = await this.reader.next();
      const node = event?.kind === 'enter' ? this.#reduce(event.node) : undefined;
      this.head = event?.kind === 'enter' && node ? { ...event, node } : event;
      if (event?.kind !== 'enter' || node) return;
      // What has no place in the comparison is no folder: its end comes next.
      await this.reader.next();
    }
  }

  /** The entry that begins here. */
  entered(): EnterEvent {
    if (this.head?.kind === 'enter') return this.head;
    throw new TypeError('no entry begins here');
  }

  /** Bytes of the content that were not taken yet. There must be some. */
  async content(): Promise<Uint8Array> {
    while (this.#content.length === 0) {
      const event = await this.reader.next();
      if (event?.kind !== 'data') throw new TypeError('the content ends before its size');
      this.#content = event.bytes;
    }
    return this.#content;
  }

  /** Goes on in the content. */
  skip(length: number): void {
    const here = Math.min(length, this.#content.length);
    this.#content = this.#content.subarray(here);
    if (length > here) this.reader.skipContent(length - here);
  }

  /** Goes behind the end of an entry that is no folder. */
  async passContent(): Promise<void> {
    this.#content = NOTHING;
    do await this.advance();
    while (this.head?.kind === 'data');
    await this.advance();
  }
}
