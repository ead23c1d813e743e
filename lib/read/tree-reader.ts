/**
 * Random access to an archive by its goodbye tables (spec/formats/catar.md, "Lookup"): a path is found
 * with a few small reads, whatever the size of the archive, and a folder is listed from any place. What
 * a table says is a hint until the records it leads to have confirmed it. Used wherever a sub-path is
 * named, and by mounts.
 */
import { equalBytes } from '../../formats/bytes.ts';
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import { CatarParser, type CatarParserOptions } from '../../formats/catar-parser.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { about, FormatError, isCasError } from '../../formats/errors.ts';
import { hashName } from '../../formats/goodbye.ts';
import { decodeFileName, fileNameSize, type GoodbyeTable } from '../../formats/goodbye-reader.ts';
import { RECORD_HEADER_SIZE } from '../../formats/record-types.ts';
import type { Hash64 } from '../../formats/siphash.ts';
import type { SignalOption } from '../../store/backend.ts';
import { throwIfAborted } from '../errors.ts';
import { createBreather } from '../work/breathe.ts';
import { awaited, type Soon, type Steps, settle } from '../work/soon.ts';
import type { BlobReader } from './blob-reader.ts';
import { BlobWindow } from './blob-window.ts';
import { memoryOf } from './node-memory.ts';
import { RecentValues } from './recent-values.ts';
import { damagedArchive, endOf, recordBytes, TableReader } from './table-reader.ts';
import type { FolderPlace, ListedChild, NodePlace, TakeChild, TreeNode } from './tree-node.ts';

/** What is known of all children of a folder together. */
export interface FolderSurvey {
  /** How many of them are folders. */
  readonly folderCount: number;
  /** The folder's table leads to each of them. */
  readonly isComplete: boolean;
}

export interface TreeReaderOptions {
  /** Feature flags that the archive must carry, known from its index. */
  readonly expectedFlags?: bigint;
}

const NO_NAME = new Uint8Array(0);
const SLASH = 0x2f;
/** Bytes for nodes that were read. */
const MOST_NODE_MEMORY = 8 * 1024 * 1024;
const LIMITS = DEFAULT_DECODE_LIMITS;

/**
 * Looks into an archive; keeps a few MiB of what was read last. Calls may overlap. What lies in memory
 * is answered at once, without promises.
 *
 * All methods throw FormatError, named after the blob, if what they meet is damaged, and whatever the
 * blob throws; the next call tries again. The signal ends the waiting of its call.
 */
export class TreeReader {
  readonly #label: string;
  readonly #size: number;
  readonly #window: BlobWindow;
  readonly #tables: TableReader;
  /** By the archive offset of their ENTRY. */
  readonly #nodes = new RecentValues<TreeNode>(MOST_NODE_MEMORY);
  /** Feature flags of the archive, as soon as they are known. */
  #flags: bigint | undefined;

  /** @param blob stays open */
  constructor(blob: BlobReader, { expectedFlags }: TreeReaderOptions = {}) {
    this.#label = blob.label;
    this.#size = blob.size;
    this.#window = new BlobWindow(blob);
    this.#tables = new TableReader(this.#window);
    this.#flags = expectedFlags;
  }

  /** The root. The archive must end where the blob ends. */
  root(options: SignalOption = {}): Soon<TreeNode> {
    return this.nodeAt({ start: 0, depth: 0, end: this.#size }, options);
  }

  /**
   * The node whose ENTRY is at this place. Of folders the end must be known.
   * @param place as it was found before
   */
  nodeAt(place: NodePlace, options: SignalOption = {}): Soon<TreeNode> {
    return this.#nodes.get(place.start) ?? this.#settle(this.#nodeAt(place, options));
  }

  /** The node at a path: names joined by slashes, empty for the root. */
  open(path: Uint8Array, options: SignalOption = {}): Soon<TreeNode | undefined> {
    return this.#settle(this.#open(path, options));
  }

  /** The child of this name, if the folder's table has it. */
  child(
    parent: TreeNode,
    name: Uint8Array,
    options: SignalOption = {},
  ): Soon<TreeNode | undefined> {
    return this.#settle(this.#findChild(parent, name, options));
  }

  /**
   * The children of a folder in archive order.
   * @param from archive offset of the FILENAME of the first one that is wanted: where the child before
   * it ends. 0 for all of them
   */
  children(
    parent: TreeNode,
    from: number,
    take: TakeChild,
    options: SignalOption = {},
  ): Soon<void> {
    return this.#settle(this.#children(parent, from, take, options));
  }

  /** Looks at all children of a folder. @returns undefined if there are more than `most` */
  survey(
    parent: TreeNode,
    most: number,
    options: SignalOption = {},
  ): Soon<FolderSurvey | undefined> {
    return this.#settle(this.#survey(parent, most, options));
  }

  #settle<Result>(steps: Steps<Result>): Soon<Result> {
    return settle(namedAfter(this.#label, steps));
  }

  *#open(path: Uint8Array, options: SignalOption): Steps<TreeNode | undefined> {
    let found: TreeNode | undefined = yield* awaited(this.root(options));
    for (const name of namesOf(path)) {
      found = yield* this.#findChild(found, name, options);
      if (found === undefined) return undefined;
    }
    return found;
  }

  *#findChild(
    { folder, depth }: TreeNode,
    name: Uint8Array,
    options: SignalOption,
  ): Steps<TreeNode | undefined> {
    if (folder === undefined) return undefined;
    for (const item of yield* this.#tables.itemsWith(folder, hashName(name), options)) {
      const { offset, end } = item;
      const child = yield* this.#nameAt(offset, options);
      if (!equalBytes(child.name, name)) continue;
      const place = { start: child.start, depth: depth + 1, end };
      const found = this.#nodes.get(child.start) ?? (yield* this.#nodeAt(place, options));
      if (found.end === end) return found;
      throw damagedArchive('GOODBYE', child.start, 'the size of a child');
    }
    return undefined;
  }

  *#children(parent: TreeNode, from: number, take: TakeChild, options: SignalOption): Steps<void> {
    const { folder } = parent;
    if (folder === undefined) return;
    const breathe = createBreather();
    const end = folder.table.offset;
    for (let offset = Math.max(from, folder.childrenStart); offset < end; ) {
      throwIfAborted(options.signal);
      const { name, start } = yield* this.#nameAt(offset, options);
      const child =
        this.#nodes.get(start) ??
        (yield* this.#childAt(parent, folder, offset, name, start, options));
      if (child.end > end) {
        throw damagedArchive('ENTRY', start, 'a node that ends within its folder');
      }
      if (!take(name, child, offset)) return;
      offset = child.end;
      const pause = breathe();
      if (pause !== undefined) yield pause;
    }
  }

  *#childAt(
    parent: TreeNode,
    folder: FolderPlace,
    offset: number,
    name: Uint8Array,
    start: number,
    options: SignalOption,
  ): Steps<ListedChild> {
    const place = { start, depth: parent.depth + 1 };
    const endInTable = () => this.#tables.endOf(folder, hashName(name), offset, options);
    return yield* this.#nodeAt(place, options, endInTable);
  }

  *#survey(parent: TreeNode, most: number, options: SignalOption): Steps<FolderSurvey | undefined> {
    const { folder } = parent;
    if (folder === undefined) return { folderCount: 0, isComplete: true };
    if (folder.table.itemCount > most) return undefined;
    const listed: { readonly hash: Hash64; readonly offset: number; readonly end: number }[] = [];
    let folderCount = 0;
    const take: TakeChild = (name, { node, end }, offset) => {
      if (node.type === 'directory') folderCount += 1;
      return listed.push({ hash: hashName(name), offset, end }) <= most;
    };
    yield* this.#children(parent, 0, take, options);
    if (listed.length > most) return undefined;
    for (const { hash, offset, end } of listed) {
      if ((yield* this.#tables.endOf(folder, hash, offset, options)) === end) continue;
      return { folderCount, isComplete: false };
    }
    return { folderCount, isComplete: true };
  }

  /** The name in the FILENAME at this offset, and where the node behind it begins. */
  *#nameAt(
    offset: number,
    options: SignalOption,
  ): Steps<{ readonly name: Uint8Array; readonly start: number }> {
    const header = yield* this.#exactly(offset, RECORD_HEADER_SIZE, options);
    const size = fileNameSize(header, offset, LIMITS);
    const record = header.length >= size ? header : yield* this.#exactly(offset, size, options);
    return { name: decodeFileName(record.subarray(0, size), offset), start: offset + size };
  }

  /**
   * @param endInTable where the table of its folder has it end, if the node is a folder
   */
  *#nodeAt(
    place: NodePlace,
    options: SignalOption,
    endInTable?: () => Steps<number | undefined>,
  ): Steps<ListedChild> {
    const { depth, start } = place;
    const parser = this.#parserAt(place);
    let node: CatarNode | undefined;
    while (!parser.done) {
      for (const event of yield* this.#nextEvents(parser, options)) {
        if (event.kind === 'enter') node = event.node;
        if (node?.type === 'directory') {
          const childrenStart = parser.recordOffset;
          const table = yield* this.#tableOf(place, childrenStart, options, endInTable);
          if (typeof table === 'number') return { node, depth, start, end: table, isUnread: true };
          return this.#found({
            node,
            depth,
            start,
            end: endOf(table),
            folder: { childrenStart, table },
          });
        }
        if (node === undefined || event.kind !== 'leave') continue;
        const { end = 0 } = event;
        if (end !== (place.end ?? end))
          throw damagedArchive('GOODBYE', start, 'the size of a child');
        if (end > this.#size) throw damagedArchive('PAYLOAD', start, 'an end within the archive');
        return this.#found({ node, depth, start, end });
      }
    }
    throw damagedArchive('ENTRY', start, 'a node');
  }

  /**
   * The table of a folder; where its end is not known for sure, the folder is read to its end. If the table
   * is where another one says, but cannot be read, that place.
   */
  *#tableOf(
    place: NodePlace,
    childrenStart: number,
    options: SignalOption,
    endInTable?: () => Steps<number | undefined>,
  ): Steps<GoodbyeTable | number> {
    const { start } = place;
    if (place.end !== undefined) {
      return yield* this.#tables.tableOf({ start, childrenStart, end: place.end }, options);
    }
    const hint = endInTable === undefined ? undefined : yield* endInTable();
    if (hint !== undefined) {
      try {
        return yield* this.#tables.tableOf({ start, childrenStart, end: hint }, options);
      } catch (error) {
        if (!isCasError(error) || error.code === 'ABORTED') throw error;
        if (!(error instanceof FormatError)) return hint;
      }
    }
    const end = yield* this.#walkPast(place, options);
    return yield* this.#tables.tableOf({ start, childrenStart, end }, options);
  }

  #found(found: TreeNode): TreeNode {
    this.#flags ??= found.node.featureFlags;
    const memory = memoryOf(found.node);
    // One node does not drive out all others.
    if (memory <= MOST_NODE_MEMORY / 64) this.#nodes.keep(found.start, found, memory);
    return found;
  }

  *#nextEvents(parser: CatarParser, options: SignalOption): Steps<Iterable<CatarEvent>> {
    throwIfAborted(options.signal);
    const bytes = yield* awaited(this.#window.at(parser.nextOffset, 1, options));
    if (bytes.length === 0) parser.end();
    return parser.push(bytes);
  }

  /** @returns where the node ends */
  *#walkPast(place: NodePlace, options: SignalOption): Steps<number> {
    const breathe = createBreather();
    const parser = this.#parserAt(place);
    let end = place.start;
    while (!parser.done) {
      for (const event of yield* this.#nextEvents(parser, options)) {
        if (event.kind === 'leave') end = event.end ?? end;
      }
      const pause = breathe();
      if (pause !== undefined) yield pause;
    }
    return end;
  }

  #parserAt({ start, depth }: NodePlace): CatarParser {
    const options: CatarParserOptions = {
      skipPayloads: true,
      start: { offset: start, name: NO_NAME, depth },
      ...(this.#flags === undefined ? {} : { expectedFlags: this.#flags }),
    };
    return new CatarParser(options);
  }

  #exactly(offset: number, length: number, options: SignalOption): Steps<Uint8Array> {
    return recordBytes(this.#window, { record: 'record', offset, length }, options);
  }
}

function* namedAfter<Result>(label: string, steps: Steps<Result>): Steps<Result> {
  try {
    return yield* steps;
  } catch (error) {
    throw about(label, error);
  }
}

function* namesOf(path: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < path.length; ) {
    const slash = path.indexOf(SLASH, start);
    const end = slash < 0 ? path.length : slash;
    yield path.slice(start, end);
    start = end + 1;
  }
}
