/**
 * The tree of the other side, learned with as few bytes as possible: what both have is told apart from
 * what differs by digests, and only of the latter all is said (spec/formats/tree-session.md, "The
 * listing"). Used by the receiving side of a tree session.
 */
import { byteKey, compareBytes, equalBytes } from '../../../formats/bytes.ts';
import { FormatError } from '../../../formats/errors.ts';
import {
  type EntryRecord,
  encodeRuns,
  type NumberRun,
  type ReadEntry,
  readDirectory,
  readEntry,
  SHORT_DIGEST_LENGTH,
  TREE_KIND,
  type TreeRoot,
} from '../../../formats/tree-session.ts';
import type { AttributeSets } from './attribute-sets.node.ts';
import {
  completeListing,
  digestOfTree,
  entriesOf,
  fillDirectory,
  type ListedDirectory,
  newDirectory,
  type TreeListing,
} from './listing.node.ts';
import { MessageReader, type TreeConnection } from './messages.ts';

/** A tree that is to be, beside the one that is. */
export interface TreePlan {
  readonly wanted: TreeListing;
  /** The directory that has the place of a wanted one already. */
  readonly ownOf: ReadonlyMap<ListedDirectory, ListedDirectory>;
  /** Wanted directories whose entries are exactly those that are there. */
  readonly same: ReadonlySet<ListedDirectory>;
}

const NO_NAME = new Uint8Array(0);
const LARGEST_SET = 4 * 1024 * 1024;

/** @param own the tree that is there. @throws FormatError, and what the connection throws */
export async function planTree(
  connection: TreeConnection,
  root: TreeRoot,
  own: TreeListing,
): Promise<TreePlan> {
  const planner = new Planner(connection, root, own);
  return planner.run();
}

class Planner {
  readonly #connection: TreeConnection;
  readonly #root: TreeRoot;
  readonly #own: TreeListing;
  readonly #sets: AttributeSets;
  readonly #directories: ListedDirectory[] = [];
  /** The begin of the digest of each directory, as the other side says. */
  readonly #digests: Uint8Array[] = [];
  readonly #ownOf = new Map<ListedDirectory, ListedDirectory>();
  readonly #same = new Set<ListedDirectory>();
  /** Attribute sets by the numbers of the other side. */
  readonly #told: number[] = [];

  constructor(connection: TreeConnection, root: TreeRoot, own: TreeListing) {
    this.#connection = connection;
    this.#root = root;
    this.#own = own;
    this.#sets = own.sets;
  }

  async run(): Promise<TreePlan> {
    await this.#learnDirectories();
    await this.#learnEntries();
    const root = this.#rootEntry();
    if (!this.#isRight(root)) {
      // A short digest has met another one of the same value.
      this.#same.clear();
      await this.#learnRecords(this.#directories.map((directory) => ({ directory })));
      if (!this.#isRight(root)) throw wrong('the entries that were announced');
    }
    let byteCount = 0;
    for (const directory of this.#directories) byteCount += checkEntries(directory, this.#sets);
    const wanted = completeListing(this.#sets, root, this.#directories, byteCount);
    return { wanted, ownOf: this.#ownOf, same: this.#same };
  }

  #rootEntry(): EntryRecord {
    const attributes = this.#sets.read(this.#root.attributes);
    if (this.#sets.nodeOf(attributes).type !== 'directory') throw wrong('a directory as the root');
    return { name: NO_NAME, attributes, mtime: this.#root.mtime, size: 0 };
  }

  #isRight(root: EntryRecord): boolean {
    return equalBytes(digestOfTree(this.#sets, root, this.#directories), this.#root.digest);
  }

  async #learnDirectories(): Promise<void> {
    const { directoryCount, entryCount } = this.#root;
    await this.#connection.send(TREE_KIND.wantDirectories, NO_NAME);
    const reader = new MessageReader(this.#connection, TREE_KIND.directories, 'DIRECTORIES');
    const ownByName = new Map<ListedDirectory, ReadonlyMap<string, ListedDirectory>>();
    let first = 0;
    for (let number = 0; number < directoryCount; number++) {
      const item = readDirectory(await reader.next(), number);
      const parent = number === 0 ? undefined : this.#directories[item.parent];
      const directory = newDirectory(number, item.name, parent);
      directory.entryCount = item.entryCount;
      directory.first = first;
      first += item.entryCount;
      if (first > entryCount) throw wrong('as many entries as announced');
      parent?.children.push(directory);
      this.#directories.push(directory);
      this.#digests.push(item.digest);
      const own =
        parent === undefined
          ? this.#own.directories[0]
          : this.#childOf(parent, item.name, ownByName);
      if (own !== undefined) this.#ownOf.set(directory, own);
    }
    await reader.finish();
    if (first !== entryCount) throw wrong('as many entries as announced');
  }

  #childOf(
    parent: ListedDirectory,
    name: Uint8Array,
    known: Map<ListedDirectory, ReadonlyMap<string, ListedDirectory>>,
  ): ListedDirectory | undefined {
    const own = this.#ownOf.get(parent);
    if (own === undefined) return undefined;
    let children = known.get(own);
    if (children === undefined) {
      children = new Map(own.children.map((child) => [byteKey(child.name), child]));
      known.set(own, children);
    }
    return children.get(byteKey(name));
  }

  /** Fills all directories: with our own entries where those are the same. */
  async #learnEntries(): Promise<void> {
    const compared: ListedDirectory[] = [];
    const unknown: Unknown[] = [];
    for (const directory of this.#directories) {
      const own = this.#ownOf.get(directory);
      const digest = this.#digests[directory.number];
      if (own && equalBytes(own.digest.subarray(0, SHORT_DIGEST_LENGTH), digest)) {
        if (own.entryCount !== directory.entryCount) throw wrong('digests of what is there');
        directory.records = own.records;
        directory.digest = own.digest;
        this.#same.add(directory);
      } else if (own && own.entryCount > 0 && directory.entryCount > 0) compared.push(directory);
      else unknown.push({ directory });
    }
    unknown.push(...(await this.#compareHashes(compared)));
    await this.#learnRecords(unknown.sort((a, b) => a.directory.number - b.directory.number));
  }

  async #compareHashes(directories: readonly ListedDirectory[]): Promise<Unknown[]> {
    if (directories.length === 0) return [];
    const runs = directories.map(({ number }) => ({ first: number, count: 1 }));
    await this.#connection.send(TREE_KIND.wantHashes, encodeRuns(runs));
    const reader = new MessageReader(this.#connection, TREE_KIND.hashes, 'HASHES');
    const result: Unknown[] = [];
    for (const directory of directories) {
      const own = this.#ownOf.get(directory);
      const byHash = new Map<number, ReadEntry>();
      if (own !== undefined) {
        entriesOf(own).forEach((entry, i) => {
          byHash.set(own.hashes[i], entry);
        });
      }
      const entries: (ReadEntry | undefined)[] = [];
      for (let i = 0; i < directory.entryCount; i++) {
        entries.push(byHash.get((await reader.next()).u32()));
      }
      result.push({ directory, entries });
    }
    await reader.finish();
    return result;
  }

  /** Asks for entries that are not known, and fills the directories. */
  async #learnRecords(unknown: readonly Unknown[]): Promise<void> {
    const runs = encodeRuns(unknownRuns(unknown));
    const listCount = runs.length > 0 ? 1 : 0;
    const reader = new MessageReader(this.#connection, TREE_KIND.records, 'RECORDS', listCount);
    if (runs.length > 0) await this.#connection.send(TREE_KIND.wantRecords, runs);
    for (const { directory, entries } of unknown) {
      const all: ReadEntry[] = [];
      for (let i = 0; i < directory.entryCount; i++) {
        all.push(entries?.[i] ?? (await this.#readRecord(reader)));
      }
      fillDirectory(directory, this.#sets, all);
    }
    await reader.finish();
  }

  async #readRecord(messages: MessageReader): Promise<ReadEntry> {
    const reader = await messages.next();
    const set = reader.text(LARGEST_SET);
    if (set.length > 0) this.#told.push(this.#sets.read(set));
    const entry = readEntry(reader);
    const attributes = this.#told[entry.attributes];
    if (attributes === undefined) throw reader.wrong('an attribute set that was told of');
    return { ...entry, attributes };
  }
}

/** A directory with the entries that are known already; without them, none is. */
interface Unknown {
  readonly directory: ListedDirectory;
  readonly entries?: readonly (ReadEntry | undefined)[];
}

function* unknownRuns(unknown: readonly Unknown[]): Generator<NumberRun> {
  for (const { directory, entries } of unknown) {
    const { first, entryCount } = directory;
    if (entries === undefined) yield { first, count: entryCount };
    else {
      for (let i = 0; i < entries.length; i++) {
        if (entries[i] === undefined) yield { first: first + i, count: 1 };
      }
    }
  }
}

/**
 * Entries ascend, and those that are directories are the ones that were told of.
 * @returns bytes of all files in it
 */
function checkEntries(directory: ListedDirectory, sets: AttributeSets): number {
  let before: Uint8Array | undefined;
  let [children, byteCount] = [0, 0];
  for (const entry of entriesOf(directory)) {
    const { type } = sets.entryNode(entry);
    if ((type === 'file') !== entry.isFile) throw wrong('a size of a file');
    if (before !== undefined && compareBytes(before, entry.name) >= 0)
      throw wrong('names in order');
    before = entry.name;
    byteCount += entry.size;
    if (type !== 'directory') continue;
    const child = directory.children[children++];
    if (child === undefined || !equalBytes(child.name, entry.name)) throw wrong('its directories');
  }
  if (children !== directory.children.length) throw wrong('its directories');
  if (!Number.isSafeInteger(byteCount)) throw wrong('sizes of files');
  return byteCount;
}

function wrong(expectation: string): FormatError {
  return new FormatError('tree session', 'LISTING', 0, `expected ${expectation}`);
}

/** Whether two entries of the same name are the same but for their content. */
export function isSameEntry(a: ReadEntry, b: ReadEntry): boolean {
  if (a.attributes !== b.attributes || a.mtime !== b.mtime || a.size !== b.size) return false;
  if (a.target === undefined || b.target === undefined) return a.target === b.target;
  return equalBytes(a.target, b.target);
}
