/**
 * All entries of a folder with everything but their content, in little memory, with digests by which two
 * such listings are compared (spec/formats/tree-session.md, "Digests"). Used by both sides of a tree
 * session.
 */
import { createHash } from 'node:crypto';
import { byteKey, concatBytes, readU32 } from '../../../formats/bytes.ts';
import type { EnterEvent } from '../../../formats/catar-events.ts';
import { LimitExceeded } from '../../../formats/errors.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { ItemReader, ItemWriter } from '../../../formats/tree-items.ts';
import {
  type EntryRecord,
  MOST_NODES,
  type ReadEntry,
  readEntry,
  writeEntry,
} from '../../../formats/tree-session.ts';
import { FolderReader, type WalkOptions } from '../../make/folder-reader.node.ts';
import { createBreather } from '../../work/breathe.ts';
import { AttributeSets, digestEntry } from './attribute-sets.node.ts';

export interface ListedDirectory {
  /** In the order of the walk, the root is 0. */
  readonly number: number;
  readonly parent: ListedDirectory | undefined;
  readonly name: Uint8Array;
  /** In order of their names. */
  readonly children: ListedDirectory[];
  entryCount: number;
  /** Its entries as records, one behind the other. */
  records: Uint8Array;
  /** Of its entries, 32 bytes. */
  digest: Uint8Array;
  /** The begin of the digest of each entry. */
  hashes: Uint32Array;
  /** Number of its first entry among those of all directories. */
  first: number;
}

/** A listing that is complete. */
export interface TreeListing {
  readonly sets: AttributeSets;
  readonly directories: readonly ListedDirectory[];
  /** The root itself: no name, no size. */
  readonly root: EntryRecord;
  readonly entryCount: number;
  /** Content of all files. */
  readonly byteCount: number;
  /** Of all of it, 32 bytes. */
  readonly digest: Uint8Array;
}

/** What a session leaves in a target when it is killed; never part of a tree. */
const STAGING_NAME = /^\.casync-session\.[0-9a-f]{16}$/;

export function isStagingName(name: Uint8Array): boolean {
  return name.length === 32 && STAGING_NAME.test(byteKey(name));
}

/** Features of which entries can have something: not those that say what is left out. */
function recordedFeatures(featureFlags: bigint): bigint {
  const { excludeFile, excludeNodump, excludeSubmounts } = FEATURE;
  return featureFlags & ~(excludeFile | excludeNodump | excludeSubmounts);
}

export interface ListingOptions extends Omit<WalkOptions, 'contents' | 'onEntry' | 'childrenOnly'> {
  /** Leave out what sessions have left behind. */
  readonly omitsStaging: boolean;
}

/** Lists a folder. @param root descriptor, which stays open, or path. @throws PipelineError */
export async function listTree(
  root: number | Uint8Array,
  options: ListingOptions,
): Promise<TreeListing> {
  const reader = new FolderReader({ ...options, contents: 'skip' });
  const breathe = createBreather();
  try {
    const folder = reader.openRoot(root);
    const builder = new ListingBuilder(new AttributeSets(recordedFeatures(options.featureFlags)));
    builder.enter(folder.event);
    let omittedDepth = 0;
    for (const event of reader.walk(folder)) {
      await breathe();
      const isOmitted = options.omitsStaging && event.kind === 'enter' && builder.isAtTop;
      if (omittedDepth > 0 || (isOmitted && isStagingName(event.name))) {
        omittedDepth += event.kind === 'enter' ? 1 : -1;
        continue;
      }
      if (event.kind === 'enter') builder.enter(event);
      else builder.leave();
    }
    return builder.finish();
  } finally {
    reader.close();
  }
}

/** A directory that was entered and not left. */
interface OpenDirectory {
  readonly directory: ListedDirectory;
  readonly writer: ItemWriter;
  readonly hash: ReturnType<typeof createHash>;
  readonly hashes: number[];
}

class ListingBuilder {
  readonly #sets: AttributeSets;
  readonly #directories: ListedDirectory[] = [];
  readonly #open: (OpenDirectory | undefined)[] = [];
  #root: EntryRecord | undefined;
  #byteCount = 0;

  constructor(sets: AttributeSets) {
    this.#sets = sets;
  }

  /** Only the root is open. */
  get isAtTop(): boolean {
    return this.#open.length === 1;
  }

  enter({ name, node }: EnterEvent): void {
    const parent = this.#open.at(-1);
    const { type, mtime, size, linkTarget } = node;
    const attributes = this.#sets.numberOf(node);
    const target = linkTarget === undefined ? {} : { target: linkTarget };
    const entry = { name, attributes, mtime, size, ...target };
    if (parent === undefined) this.#root = entry;
    else {
      writeEntry(parent.writer, entry, type === 'file');
      const digest = digestEntry(this.#sets, entry);
      parent.hash.update(digest);
      parent.hashes.push(readU32(digest, 0));
      this.#byteCount += size;
    }
    this.#open.push(type === 'directory' ? this.#begin(name, parent?.directory) : undefined);
  }

  leave(): void {
    const open = this.#open.pop();
    if (open !== undefined) finishDirectory(open);
  }

  finish(): TreeListing {
    if (this.#root === undefined) throw new TypeError('there is no root');
    return completeListing(this.#sets, this.#root, this.#directories, this.#byteCount);
  }

  #begin(name: Uint8Array, parent: ListedDirectory | undefined): OpenDirectory {
    const directory = newDirectory(this.#directories.length, name, parent);
    this.#directories.push(directory);
    parent?.children.push(directory);
    return { directory, writer: new ItemWriter(256), hash: createHash('sha256'), hashes: [] };
  }
}

const NOTHING = new Uint8Array(0);

export function newDirectory(
  number: number,
  name: Uint8Array,
  parent: ListedDirectory | undefined,
): ListedDirectory {
  return {
    number,
    parent,
    name,
    children: [],
    entryCount: 0,
    records: NOTHING,
    digest: NOTHING,
    hashes: new Uint32Array(0),
    first: 0,
  };
}

function finishDirectory({ directory, writer, hash, hashes }: OpenDirectory): void {
  directory.records = writer.take();
  directory.entryCount = hashes.length;
  directory.hashes = Uint32Array.from(hashes);
  directory.digest = hash.digest();
}

/** Numbers the entries of all directories and makes the digest of the whole. */
export function completeListing(
  sets: AttributeSets,
  root: EntryRecord,
  directories: readonly ListedDirectory[],
  byteCount: number,
): TreeListing {
  let entryCount = 0;
  for (const directory of directories) {
    directory.first = entryCount;
    entryCount += directory.entryCount;
  }
  if (entryCount > MOST_NODES) throw new LimitExceeded({ reason: 'the tree has too many entries' });
  const digest = digestOfTree(sets, root, directories);
  return { sets, directories, root, entryCount, byteCount, digest };
}

export function digestOfTree(
  sets: AttributeSets,
  root: EntryRecord,
  directories: readonly ListedDirectory[],
): Uint8Array {
  const hash = createHash('sha256').update(digestEntry(sets, root));
  for (const { digest } of directories) hash.update(digest);
  return hash.digest();
}

/** Gives a directory its entries. */
export function fillDirectory(
  directory: ListedDirectory,
  sets: AttributeSets,
  entries: readonly ReadEntry[],
): void {
  const writer = new ItemWriter(64 * (entries.length + 1));
  const hash = createHash('sha256');
  for (const entry of entries) {
    writeEntry(writer, entry, entry.isFile);
    hash.update(digestEntry(sets, entry));
  }
  directory.records = writer.take();
  directory.entryCount = entries.length;
  directory.digest = hash.digest();
}

/** The entries of a directory, in order. Names are views. */
export function entriesOf({ records, entryCount }: ListedDirectory): ReadEntry[] {
  const reader = new ItemReader('RECORDS', records);
  return Array.from({ length: entryCount }, () => readEntry(reader));
}

const SLASH = Uint8Array.of(0x2f);

/** Path of an entry of a directory, or of the directory itself, below the root. */
export function pathOf(directory: ListedDirectory, name?: Uint8Array): Uint8Array {
  const names = name === undefined ? [] : [name];
  for (let at = directory; at.parent !== undefined; at = at.parent) names.unshift(at.name);
  return concatBytes(names.flatMap((each, i) => (i === 0 ? [each] : [SLASH, each])));
}

/** The directory that holds the entry of this number. */
export function directoryOfEntry(
  directories: readonly ListedDirectory[],
  number: number,
): ListedDirectory {
  let [low, high] = [0, directories.length];
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (directories[middle].first <= number) low = middle;
    else high = middle;
  }
  // Directories without entries begin where the next one does.
  return directories[low];
}
