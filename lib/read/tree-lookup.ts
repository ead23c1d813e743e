/**
 * Random access to an archive by its goodbye tables (spec/formats/catar.md, "Lookup"): a path is found
 * with a few small reads, whatever the size of the archive. What a table says is a hint until the
 * records it leads to have confirmed it. Used wherever a sub-path is named, and by mounts.
 */
import { equalBytes } from '../../formats/bytes.ts';
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import { CatarParser } from '../../formats/catar-parser.ts';
import { GOODBYE_TAIL_SIZE } from '../../formats/catar-records.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { about, FormatError } from '../../formats/errors.ts';
import { hashName } from '../../formats/goodbye.ts';
import {
  checkGoodbyeHeader,
  decodeFileName,
  decodeGoodbyeItem,
  decodeGoodbyeTail,
  fileNameSize,
  GOODBYE_ITEM_SIZE,
  type GoodbyeItem,
  type GoodbyeTable,
  goodbyeItemOffset,
} from '../../formats/goodbye-reader.ts';
import { RECORD_HEADER_SIZE } from '../../formats/record-types.ts';
import type { Hash64 } from '../../formats/siphash.ts';
import { throwIfAborted } from '../errors.ts';
import { readArchive } from './archive.ts';
import type { ByteSource } from './byte-source.ts';

export interface TreeLookupOptions {
  /** Feature flags that the archive must carry, known from its index. */
  readonly expectedFlags?: bigint;
  readonly signal?: AbortSignal;
}

/** A node whose place in the archive is known. A plain value; it may be kept. */
export interface TreeNode {
  readonly node: CatarNode;
  /** Empty for the root. */
  readonly name: Uint8Array;
  /** Nodes above it. */
  readonly depth: number;
  /** Archive offset of its ENTRY. */
  readonly start: number;
  /** Archive offset behind its last byte. The content of a file are the last bytes before it. */
  readonly end: number;
  /** Exactly for directories. */
  readonly folder?: FolderPlace;
}

export interface FolderPlace {
  /** Archive offset of the FILENAME of the first child, if there is one. */
  readonly childrenStart: number;
  readonly table: GoodbyeTable;
}

/** Where a node begins, and where it ends, if that is known. */
interface NodePlace {
  readonly name: Uint8Array;
  readonly depth: number;
  readonly start: number;
  readonly end?: number;
}

type ChildEnds = ReadonlyMap<number, number> | undefined;

const SLASH = 0x2f;
const ROOT_NAME = new Uint8Array(0);
/** Names with equal hashes that are tried. They do not collide by chance. */
const MOST_COLLISIONS = 16;
/** The metadata of most nodes is shorter. */
const NODE_LENGTH = 4096;
/** Items of a table that are kept while a folder is listed: less than 10 MB. */
const MOST_KEPT_ITEMS = 65536;
const LIMITS = DEFAULT_DECODE_LIMITS;

/**
 * Looks into an archive. Keeps only the root in memory; calls must not overlap.
 *
 * All methods throw FormatError, named after the source, if what they meet is damaged, and whatever the
 * source throws.
 */
export class TreeLookup {
  readonly #source: ByteSource;
  readonly #size: number;
  readonly #options: TreeLookupOptions;
  #root: TreeNode | undefined;

  /** @param source seekable, and its size is known; stays open */
  constructor(source: ByteSource, options: TreeLookupOptions = {}) {
    const { size, seekable } = source;
    if (size === undefined || !seekable) throw new TypeError('the source cannot be looked into');
    this.#source = source;
    this.#size = size;
    this.#options = options;
  }

  /** The root. The archive must end where the source ends. */
  async root(): Promise<TreeNode> {
    const place = { name: ROOT_NAME, depth: 0, start: 0, end: this.#size };
    this.#root ??= await this.#named(this.#nodeAt(place));
    return this.#root;
  }

  /** The node at a path: names joined by slashes, empty for the root. */
  async open(path: Uint8Array): Promise<TreeNode | undefined> {
    let found: TreeNode | undefined = await this.root();
    for (const name of namesOf(path)) {
      found = await this.child(found, name);
      if (found === undefined) return undefined;
    }
    return found;
  }

  /** The child of this name, if the folder's table has it. */
  child(parent: TreeNode, name: Uint8Array): Promise<TreeNode | undefined> {
    return this.#named(this.#findChild(parent, name));
  }

  /** The children of a folder in archive order, each read when it is asked for. */
  async *children(parent: TreeNode): AsyncGenerator<TreeNode> {
    const { folder } = parent;
    if (folder === undefined) return;
    const { childrenStart, table } = folder;
    const ends = await this.#named(this.#endsIn(table));
    for (let offset = childrenStart; offset < table.offset; ) {
      const child = await this.#named(this.#childAt(parent, offset, ends));
      yield child;
      offset = child.end;
    }
  }

  async #findChild({ folder, depth }: TreeNode, name: Uint8Array): Promise<TreeNode | undefined> {
    if (folder === undefined) return undefined;
    for (const { offset, end } of await this.#itemsWith(folder, hashName(name))) {
      const child = await this.#nameAt(offset);
      if (!equalBytes(child.name, name)) continue;
      return this.#nodeAt({ name, depth: depth + 1, start: child.start, end });
    }
    return undefined;
  }

  async #childAt(parent: TreeNode, offset: number, ends: ChildEnds): Promise<TreeNode> {
    const { name, start } = await this.#nameAt(offset);
    const place = { name, start, depth: parent.depth + 1 };
    const child = await this.#nodeAt(place, async () => {
      if (ends !== undefined || parent.folder === undefined) return ends?.get(offset);
      const items = await this.#itemsWith(parent.folder, hashName(name));
      return items.find((item) => item.offset === offset)?.end;
    });
    if (child.end <= (parent.folder?.table.offset ?? 0)) return child;
    throw damaged('ENTRY', child.start, 'a node that ends within its folder');
  }

  /** Where children end by where they begin, unless there are too many to be kept. */
  async #endsIn(table: GoodbyeTable): Promise<ChildEnds> {
    if (table.itemCount > MOST_KEPT_ITEMS) return undefined;
    const items = await this.#read(
      goodbyeItemOffset(table, 0),
      table.itemCount * GOODBYE_ITEM_SIZE,
    );
    const ends = new Map<number, number>();
    for (let start = 0; start < items.length; start += GOODBYE_ITEM_SIZE) {
      const { offset, end } = decodeGoodbyeItem(table, items.subarray(start));
      ends.set(offset, end);
    }
    return ends;
  }

  /** What the table has for a hash, in archive order. Names may collide. */
  async #itemsWith(folder: FolderPlace, hash: Hash64): Promise<readonly GoodbyeItem[]> {
    const { childrenStart, table } = folder;
    const items: GoodbyeItem[] = [];
    const places = [0];
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      if (place >= table.itemCount) continue;
      const offset = goodbyeItemOffset(table, place);
      const item = decodeGoodbyeItem(table, await this.#read(offset, GOODBYE_ITEM_SIZE));
      const order = hash.high - item.hash.high || hash.low - item.hash.low;
      if (order <= 0) places.push(2 * place + 1);
      if (order >= 0) places.push(2 * place + 2);
      if (order !== 0) continue;
      const isWithin = item.offset >= childrenStart && item.end <= table.offset;
      if (!isWithin || items.push(item) > MOST_COLLISIONS) {
        throw damaged('GOODBYE', offset, 'an item that leads to a child');
      }
    }
    return items.sort((a, b) => a.offset - b.offset);
  }

  /** The name in the FILENAME at this offset, and where the node behind it begins. */
  async #nameAt(offset: number): Promise<{ readonly name: Uint8Array; readonly start: number }> {
    const header = await this.#read(offset, RECORD_HEADER_SIZE);
    const size = fileNameSize(header, offset, LIMITS);
    return { name: decodeFileName(await this.#read(offset, size), offset), start: offset + size };
  }

  /**
   * @param endOfFolder asked if the node is a folder whose end is not known; where that does not know
   * either, the folder is read to its end
   */
  async #nodeAt(
    place: NodePlace,
    endOfFolder?: () => Promise<number | undefined>,
  ): Promise<TreeNode> {
    const { name, depth, start } = place;
    const parser = new CatarParser({ ...this.#parsing, start: { offset: start, name, depth } });
    let node: CatarNode | undefined;
    for await (const event of this.#events(parser)) {
      if (event.kind === 'enter') node = event.node;
      if (node?.type === 'directory') {
        const childrenStart = parser.recordOffset;
        const end = place.end ?? (await endOfFolder?.()) ?? (await this.#walkPast(place));
        const table = await this.#tableOf(childrenStart, start, end);
        return { node, name, depth, start, end, folder: { childrenStart, table } };
      }
      if (node === undefined || event.kind !== 'leave') continue;
      const { end = 0 } = event;
      if (end !== (place.end ?? end)) throw damaged('GOODBYE', start, 'the size of a child');
      return { node, name, depth, start, end };
    }
    throw damaged('ENTRY', start, 'a node');
  }

  async *#events(parser: CatarParser): AsyncGenerator<CatarEvent> {
    while (!parser.done) {
      throwIfAborted(this.#options.signal);
      const offset = parser.nextOffset;
      const bytes = await this.#source.read(offset, offset + NODE_LENGTH);
      if (bytes.length === 0) parser.end();
      yield* parser.push(bytes);
    }
  }

  async #tableOf(childrenStart: number, start: number, end: number): Promise<GoodbyeTable> {
    const tailOffset = end - GOODBYE_TAIL_SIZE;
    if (tailOffset < childrenStart) throw damaged('GOODBYE', childrenStart, 'a table');
    const table = decodeGoodbyeTail(await this.#read(tailOffset, GOODBYE_TAIL_SIZE), end);
    if (table.entryOffset !== start || table.offset < childrenStart) {
      throw damaged('GOODBYE', table.offset, 'the table of this folder');
    }
    checkGoodbyeHeader(await this.#read(table.offset, RECORD_HEADER_SIZE), table, end);
    return table;
  }

  /** @returns where the node ends */
  #walkPast({ name, depth, start }: NodePlace): Promise<number> {
    const options = { ...this.#parsing, start: { offset: start, name, depth } };
    return readArchive(this.#source, () => undefined, options);
  }

  get #parsing(): TreeLookupOptions & { readonly skipPayloads: true } {
    const expectedFlags = this.#root?.node.featureFlags ?? this.#options.expectedFlags;
    return { skipPayloads: true, ...(expectedFlags === undefined ? {} : { expectedFlags }) };
  }

  /** A copy of exactly these bytes. */
  async #read(offset: number, length: number): Promise<Uint8Array> {
    const copy = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      throwIfAborted(this.#options.signal);
      const bytes = await this.#source.read(offset + done, offset + length);
      if (bytes.length === 0) throw damaged('record', offset, 'more bytes');
      copy.set(bytes.subarray(0, length - done), done);
      done += bytes.length;
    }
    return copy;
  }

  async #named<Result>(result: Promise<Result>): Promise<Result> {
    try {
      return await result;
    } catch (error) {
      throw about(this.#source.label, error);
    }
  }
}

function damaged(record: string, offset: number, expectation: string): FormatError {
  return new FormatError('catar', record, offset, `expected ${expectation}`);
}

function* namesOf(path: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < path.length; ) {
    const slash = path.indexOf(SLASH, start);
    const end = slash < 0 ? path.length : slash;
    yield path.slice(start, end);
    start = end + 1;
  }
}
