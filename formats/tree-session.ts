/**
 * What two sides say to each other about a tree: the messages by which a folder becomes equal to one on
 * another machine. Used by both sides (lib/images/trees). Implements spec/formats/tree-session.md.
 */
import { DEFAULT_DECODE_LIMITS } from './decode-limits.ts';
import { FormatError } from './errors.ts';
import { checkFlags } from './feature-flags.ts';
import { ItemReader, ItemWriter } from './tree-items.ts';

/** Kinds of messages; numbers of session frames. */
export const TREE_KIND = {
  push: 60,
  pull: 61,
  look: 62,
  found: 63,
  root: 64,
  wantDirectories: 65,
  directories: 66,
  wantHashes: 67,
  hashes: 68,
  wantRecords: 69,
  records: 70,
  wantDigests: 71,
  digests: 72,
  wantContent: 73,
  content: 74,
  done: 75,
} as const;

export type TreeKind = (typeof TREE_KIND)[keyof typeof TREE_KIND];

const TREE_VERSION = 1;
const TREE_DIGEST_LENGTH = 32;
/** Of the content of files. */
export const CONTENT_DIGEST_LENGTH = 16;
/** Of directories, and of pieces of older files. */
export const SHORT_DIGEST_LENGTH = 8;
/** Of entries in a directory that differs. */
export const ENTRY_HASH_LENGTH = 4;
/** Bytes of a message at which it is sent. */
export const FULL_MESSAGE = 128 * 1024;
/** Bytes of content in one item. */
export const MOST_DATA = 64 * 1024;
/** Directories and entries of a tree, each. */
export const MOST_NODES = 2 ** 31 - 1;
/** Pieces of an older file that are told of. */
export const MOST_PIECES = 2 ** 20;

const { maxTargetLength, maxNameLength } = DEFAULT_DECODE_LIMITS;

/** The first message: what tree there is. */
export interface TreeRoot {
  readonly featureFlags: bigint;
  /** Of all metadata and names, 32 bytes. */
  readonly digest: Uint8Array;
  /** Chosen at random: goes into the digests of pieces. */
  readonly salt: Uint8Array;
  readonly directoryCount: number;
  /** Entries of all directories, the root not counted. */
  readonly entryCount: number;
  /** Content of all files. */
  readonly byteCount: number;
  /** False if something of it could not be listed. */
  readonly isComplete: boolean;
  /** The root's own attributes (an attribute set), and its time. */
  readonly attributes: Uint8Array;
  readonly mtime: bigint;
}

export function encodeRoot(root: TreeRoot): Uint8Array {
  return new ItemWriter()
    .byte(TREE_VERSION)
    .byte(root.isComplete ? 1 : 0)
    .u64(root.featureFlags)
    .raw(root.digest)
    .raw(root.salt)
    .u64(root.directoryCount)
    .u64(root.entryCount)
    .u64(root.byteCount)
    .u64(root.mtime)
    .raw(root.attributes)
    .take();
}

/** @throws FormatError */
export function decodeRoot(bytes: Uint8Array): TreeRoot {
  const reader = new ItemReader('ROOT', bytes);
  const version = reader.byte();
  if (version !== TREE_VERSION) throw reader.wrong(`version ${TREE_VERSION}, not ${version}`, 0);
  const flag = reader.byte();
  if (flag > 1) throw reader.wrong('whether all is listed', 1);
  const isComplete = flag === 1;
  const featureFlags = reader.u64();
  checkFlags(featureFlags, (reason) => new FormatError('tree session', 'ROOT', 2, reason));
  const digest = reader.raw(TREE_DIGEST_LENGTH).slice();
  const salt = reader.raw(SHORT_DIGEST_LENGTH).slice();
  const directoryCount = reader.size(MOST_NODES);
  if (directoryCount === 0) throw reader.wrong('a directory');
  const entryCount = reader.size(MOST_NODES);
  const byteCount = reader.size();
  const mtime = reader.u64();
  const attributes = bytes.slice(reader.offset);
  const counts = { directoryCount, entryCount, byteCount };
  return { isComplete, featureFlags, digest, salt, ...counts, mtime, attributes };
}

/** What is known of a directory before its entries. The first one is the root. */
export interface DirectoryItem {
  /** Number of the one it is in, which comes earlier; 0 for the root itself. */
  readonly parent: number;
  readonly name: Uint8Array;
  readonly entryCount: number;
  /** The begin of the digest of its entries, their attributes included. */
  readonly digest: Uint8Array;
}

/** @param number of the directory itself. */
export function writeDirectory(writer: ItemWriter, item: DirectoryItem, number: number): void {
  writer.count(number - item.parent).text(item.name);
  writer.count(item.entryCount).raw(item.digest);
}

/** @param number of the directory itself. @throws FormatError */
export function readDirectory(reader: ItemReader, number: number): DirectoryItem {
  const distance = reader.count(number);
  if ((distance === 0) !== (number === 0)) throw reader.wrong('a directory that came before');
  const name = reader.text(maxNameLength).slice();
  if ((name.length === 0) !== (number === 0)) throw reader.wrong('a name');
  const entryCount = reader.count(MOST_NODES);
  const digest = reader.raw(SHORT_DIGEST_LENGTH).slice();
  return { parent: number - distance, name, entryCount, digest };
}

/** An entry of a directory: what is not content. */
export interface EntryRecord {
  readonly name: Uint8Array;
  /** Number of its attribute set. */
  readonly attributes: number;
  readonly mtime: bigint;
  /** Bytes of a file; 0 for everything else. */
  readonly size: number;
  /** Of a symbolic link. */
  readonly target?: Uint8Array;
}

const PLAIN = 0;
const FILE = 1;
const LINK = 2;

/** @param isFile sizes are those of files. */
export function writeEntry(writer: ItemWriter, entry: EntryRecord, isFile: boolean): void {
  const { name, attributes, mtime, size, target } = entry;
  writer.byte(isFile ? FILE : target === undefined ? PLAIN : LINK);
  writer.text(name).count(attributes).u64(mtime);
  if (isFile) writer.count(size);
  else if (target !== undefined) writer.text(target);
}

export interface ReadEntry extends EntryRecord {
  readonly isFile: boolean;
}

/** Names and targets are views. @throws FormatError */
export function readEntry(reader: ItemReader): ReadEntry {
  const tag = reader.byte();
  if (tag > LINK) throw reader.wrong('an entry');
  const name = reader.text(maxNameLength);
  const attributes = reader.count(MOST_NODES);
  const entry = { name, attributes, mtime: reader.u64(), size: 0, isFile: tag === FILE };
  if (tag === FILE) return { ...entry, size: reader.count() };
  return tag === LINK ? { ...entry, target: reader.text(maxTargetLength) } : entry;
}

/** Numbers in runs. Each run: how far behind the end of the one before, and how many. */
export interface NumberRun {
  readonly first: number;
  readonly count: number;
}

/** Ascending runs, those that touch joined. */
export function encodeRuns(runs: Iterable<NumberRun>): Uint8Array {
  const writer = new ItemWriter();
  let [end, first, count] = [0, 0, 0];
  const flush = () => {
    if (count > 0) writer.count(first - end).count(count);
    end = first + count;
  };
  for (const run of runs) {
    if (run.count === 0) continue;
    if (count > 0 && run.first === first + count) {
      count += run.count;
      continue;
    }
    flush();
    ({ first, count } = run);
  }
  flush();
  return writer.take();
}

/** @param end all numbers are below it. @throws FormatError */
export function decodeRuns(name: string, bytes: Uint8Array, end: number): NumberRun[] {
  const reader = new ItemReader(name, bytes);
  const runs: NumberRun[] = [];
  for (let next = 0; !reader.isAtEnd; ) {
    const first = next + reader.count(end);
    const count = reader.count(end);
    if (count === 0 || first + count > end) throw reader.wrong(`numbers below ${end}`);
    runs.push({ first, count });
    next = first + count;
  }
  return runs;
}

/** The last message: what the receiving side has made of it. */
export interface TreeDone {
  readonly root: Uint8Array;
  /** False if something of the source could not be had. */
  readonly isComplete: boolean;
  readonly counts: TreeCounts;
}

/** What was done. */
export interface TreeCounts {
  /** Entries that were not there, or not like that. */
  readonly changedCount: number;
  /** Bytes of changed files. */
  readonly changedBytes: number;
  /** Of these, those that files of the target had. */
  readonly ownBytes: number;
  /** Those of files that were moved without a copy. */
  readonly movedBytes: number;
  /** Those that came over the connection, before compression. */
  readonly receivedBytes: number;
}

export const NO_COUNTS: TreeCounts = {
  changedCount: 0,
  changedBytes: 0,
  ownBytes: 0,
  movedBytes: 0,
  receivedBytes: 0,
};

export function encodeDone({ root, isComplete, counts }: TreeDone): Uint8Array {
  const { changedCount, changedBytes, ownBytes, movedBytes, receivedBytes } = counts;
  const writer = new ItemWriter().byte(isComplete ? 1 : 0).raw(root);
  for (const count of [changedCount, changedBytes, ownBytes, movedBytes, receivedBytes]) {
    writer.count(count);
  }
  return writer.take();
}

/** @throws FormatError */
export function decodeDone(bytes: Uint8Array): TreeDone {
  const reader = new ItemReader('DONE', bytes);
  const flag = reader.byte();
  if (flag > 1) throw reader.wrong('whether all is done', 0);
  const root = reader.raw(TREE_DIGEST_LENGTH).slice();
  const counts = {
    changedCount: reader.count(),
    changedBytes: reader.count(),
    ownBytes: reader.count(),
    movedBytes: reader.count(),
    receivedBytes: reader.count(),
  };
  if (!reader.isAtEnd) throw reader.wrong('the end');
  return { root, isComplete: flag === 1, counts };
}
