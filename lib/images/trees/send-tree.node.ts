/**
 * The side of a tree session that has the tree: lists it, and answers what the other side asks, in the
 * order of the questions (spec/formats/tree-session.md, "The sending side").
 */

import { randomBytes } from 'node:crypto';
import { closeSync, constants, openSync } from 'node:fs';
import { equalBytes } from '../../../formats/bytes.ts';
import { FormatError } from '../../../formats/errors.ts';
import { escapeBytes } from '../../../formats/escape.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import {
  LEAST_WITH_HEAD,
  readWanted,
  writeContent,
  writeDigest,
} from '../../../formats/tree-content.ts';
import type { ItemWriter } from '../../../formats/tree-items.ts';
import {
  decodeDone,
  decodeRuns,
  ENTRY_HASH_LENGTH,
  encodeRoot,
  MOST_DATA,
  type NumberRun,
  type ReadEntry,
  SHORT_DIGEST_LENGTH,
  TREE_KIND,
  type TreeCounts,
  type TreeDone,
  writeDirectory,
  writeEntry,
} from '../../../formats/tree-session.ts';
import { PipelineError } from '../../errors.ts';
import { type FileStat, hasChanged, statDescriptor } from '../../os/file-stat.node.ts';
import { closeEntry, openBelow } from '../../os/open.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import { createBreather } from '../../work/breathe.ts';
import { digestFile, headOfFile } from './file-digest.node.ts';
import {
  directoryOfEntry,
  entriesOf,
  type ListedDirectory,
  type ListingOptions,
  listTree,
  pathOf,
  type TreeListing,
} from './listing.node.ts';
import { MessageWriter, type TreeConnection } from './messages.ts';
import { type ContentWriting, sendContent } from './send-content.node.ts';

export interface SendTreeOptions extends Omit<ListingOptions, 'omitsStaging' | 'label'> {
  /** Path of the folder. */
  readonly source: string;
  /** Told how many bytes of content were asked for and are on their way. */
  readonly onSent?: (byteCount: number) => void;
}

export interface SentTree {
  /** False if the other side could not have all of it, or something changed while it was listed. */
  readonly isComplete: boolean;
  readonly entryCount: number;
  /** Content of all files. */
  readonly byteCount: number;
  /** What the other side has done. */
  readonly counts: TreeCounts;
}

/**
 * Resolves when the other side has said that it is done.
 * @throws PipelineError, FormatError, and what the connection throws
 */
export async function sendTree(
  connection: TreeConnection,
  options: SendTreeOptions,
): Promise<SentTree> {
  const descriptor = openRoot(options.source);
  try {
    let isComplete = true;
    const onIncomplete = (label: string, reason: string): void => {
      isComplete = false;
      options.onIncomplete?.(label, reason);
    };
    const { source } = options;
    const listing = await listTree(descriptor, {
      ...options,
      onIncomplete,
      label: source,
      omitsStaging: true,
    });
    const sender = new TreeSender(connection, listing, descriptor, { ...options, onIncomplete });
    const done = await sender.run(isComplete);
    const { entryCount, byteCount } = listing;
    const all = isComplete && done.isComplete;
    return { isComplete: all, entryCount, byteCount, counts: done.counts };
  } finally {
    closeSync(descriptor);
  }
}

function openRoot(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw systemFailure('open', error, path);
  }
}

/** A file that was listed, open. */
interface OpenedFile {
  readonly fd: number;
  readonly stat: FileStat;
}

class TreeSender {
  readonly #connection: TreeConnection;
  readonly #listing: TreeListing;
  readonly #descriptor: number;
  readonly #options: SendTreeOptions;
  readonly #salt = randomBytes(SHORT_DIGEST_LENGTH);
  /** Numbers of attribute sets as the other side has them. */
  readonly #told = new Map<number, number>();
  readonly #breathe = createBreather();
  /** The directory looked at last. */
  #entries: { readonly directory: ListedDirectory; readonly all: readonly ReadEntry[] } | undefined;

  constructor(
    connection: TreeConnection,
    listing: TreeListing,
    descriptor: number,
    options: SendTreeOptions,
  ) {
    this.#connection = connection;
    this.#listing = listing;
    this.#descriptor = descriptor;
    this.#options = options;
  }

  /** @param isListed nothing was left out of the listing. @returns what the other side has done */
  async run(isListed: boolean): Promise<TreeDone> {
    const connection = this.#connection;
    await connection.send(TREE_KIND.root, this.#root(isListed));
    for (;;) {
      const message = await connection.receive();
      if (message === undefined) throw unexpected('DONE');
      if (message.kind === TREE_KIND.done) {
        const done = decodeDone(message.content);
        if (!equalBytes(done.root, this.#listing.digest)) throw unexpected('DONE');
        return done;
      }
      await this.#answer(message.kind, message.content);
    }
  }

  #root(isComplete: boolean): Uint8Array {
    const { sets, root, directories, entryCount, byteCount, digest } = this.#listing;
    return encodeRoot({
      isComplete,
      featureFlags: sets.featureFlags,
      digest,
      salt: this.#salt,
      directoryCount: directories.length,
      entryCount,
      byteCount,
      mtime: root.mtime,
      attributes: sets.bytesOf(root.attributes),
    });
  }

  async #answer(kind: number, content: Uint8Array): Promise<void> {
    const { directories, entryCount } = this.#listing;
    switch (kind) {
      case TREE_KIND.wantDirectories:
        return this.#sendDirectories();
      case TREE_KIND.wantHashes:
        return this.#sendHashes(decodeRuns('WANT_HASHES', content, directories.length));
      case TREE_KIND.wantRecords:
        return this.#sendRecords(decodeRuns('WANT_RECORDS', content, entryCount));
      case TREE_KIND.wantDigests:
        return this.#sendDigests(decodeRuns('WANT_DIGESTS', content, entryCount));
      case TREE_KIND.wantContent:
        return this.#sendContents(content);
      default:
        throw unexpected(`message ${kind}`);
    }
  }

  async #sendDirectories(): Promise<void> {
    const writer = new MessageWriter(this.#connection, TREE_KIND.directories);
    for (const directory of this.#listing.directories) {
      const { number, parent, name, entryCount, digest } = directory;
      const short = digest.subarray(0, SHORT_DIGEST_LENGTH);
      const item = { parent: parent?.number ?? 0, name, entryCount, digest: short };
      writeDirectory(writer.items, item, number);
      await writer.pause();
    }
    await writer.finish();
  }

  async #sendHashes(runs: readonly NumberRun[]): Promise<void> {
    const writer = new MessageWriter(this.#connection, TREE_KIND.hashes);
    for (const { first, count } of runs) {
      for (const { hashes } of this.#listing.directories.slice(first, first + count)) {
        for (const hash of hashes) {
          writer.items.u32(hash);
          if (writer.items.length % (64 * ENTRY_HASH_LENGTH) === 0) await writer.pause();
        }
      }
    }
    await writer.finish();
  }

  async #sendRecords(runs: readonly NumberRun[]): Promise<void> {
    const writer = new MessageWriter(this.#connection, TREE_KIND.records);
    for (const number of numbersOf(runs)) {
      const entry = this.#entry(number);
      this.#writeRecord(writer.items, entry);
      await writer.pause();
      await this.#breathe();
    }
    await writer.finish();
  }

  #writeRecord(items: ItemWriter, entry: ReadEntry): void {
    const known = this.#told.get(entry.attributes);
    const attributes = known ?? this.#told.size;
    // The set itself stands before the first entry that has it.
    items.text(known === undefined ? this.#listing.sets.bytesOf(entry.attributes) : NOTHING);
    if (known === undefined) this.#told.set(entry.attributes, attributes);
    writeEntry(items, { ...entry, attributes }, entry.isFile);
  }

  async #sendDigests(runs: readonly NumberRun[]): Promise<void> {
    const writer = new MessageWriter(this.#connection, TREE_KIND.digests);
    const { signal } = this.#options;
    for (const number of numbersOf(runs)) {
      const entry = this.#entry(number);
      const file = this.#open(number, entry);
      try {
        const digest =
          file && (await digestFile(file.fd, entry.size, { breathe: this.#breathe, signal }));
        if (file === undefined || digest === undefined) writeDigest(writer.items, undefined);
        else if (entry.size < LEAST_WITH_HEAD) writeDigest(writer.items, { digest });
        else writeDigest(writer.items, { digest, head: headOfFile(file.fd) });
      } finally {
        if (file !== undefined) closeEntry(file.fd);
      }
      await writer.pause();
    }
    await writer.finish();
  }

  async #sendContents(content: Uint8Array): Promise<void> {
    const writer = new MessageWriter(this.#connection, TREE_KIND.content);
    const { signal, onSent } = this.#options;
    const [salt, breathe] = [this.#salt, this.#breathe];
    const buffer = Buffer.allocUnsafeSlow(MOST_DATA);
    const writing: ContentWriting = { writer, salt, buffer, breathe, signal };
    for (const wanted of readWanted(content, this.#listing.entryCount)) {
      const entry = this.#entry(wanted.number);
      const file = this.#open(wanted.number, entry);
      try {
        const wasSent =
          file !== undefined &&
          (await sendContent(
            { fd: file.fd, size: entry.size, pieces: wanted.pieces },
            writing,
            () => !hasChanged(file.stat, statDescriptor(file.fd)),
          ));
        if (!wasSent) {
          writeContent(writer.items, { kind: 'unavailable' }, 0);
          this.#report(wanted.number, 'the file has changed or is gone');
        }
        onSent?.(entry.size);
      } finally {
        if (file !== undefined) closeEntry(file.fd);
      }
      await writer.pause();
    }
    await writer.finish();
  }

  /** Undefined if it is no longer what was listed. */
  #open(number: number, entry: ReadEntry): OpenedFile | undefined {
    if (!entry.isFile) throw unexpected('number of a file');
    const directory = directoryOfEntry(this.#listing.directories, number);
    let fd: number | undefined;
    try {
      fd = openBelow(this.#descriptor, pathOf(directory, entry.name));
      const stat = statDescriptor(fd);
      if (this.#isListed(stat, entry)) return { fd, stat };
    } catch (error) {
      if (!(error instanceof PipelineError)) throw error;
    }
    if (fd !== undefined) closeEntry(fd);
    return undefined;
  }

  #isListed({ mode, size, mtimeNs }: FileStat, entry: ReadEntry): boolean {
    if ((mode & constants.S_IFMT) !== constants.S_IFREG || size !== entry.size) return false;
    const hasTime = (this.#listing.sets.featureFlags & FEATURE.timeNsec) !== 0n;
    return !hasTime || BigInt.asUintN(64, mtimeNs) === entry.mtime;
  }

  #entry(number: number): ReadEntry {
    const { directories } = this.#listing;
    const directory = directoryOfEntry(directories, number);
    if (this.#entries?.directory !== directory) {
      this.#entries = { directory, all: entriesOf(directory) };
    }
    return this.#entries.all[number - directory.first];
  }

  #report(number: number, reason: string): void {
    const directory = directoryOfEntry(this.#listing.directories, number);
    const path = escapeBytes(pathOf(directory, this.#entry(number).name));
    this.#options.onIncomplete?.(`${this.#options.source.replace(/\/$/, '')}/${path}`, reason);
  }
}

const NOTHING = new Uint8Array(0);

function* numbersOf(runs: readonly NumberRun[]): Generator<number> {
  for (const { first, count } of runs) for (let i = 0; i < count; i++) yield first + i;
}

function unexpected(what: string): FormatError {
  return new FormatError('tree session', what, 0, 'the other side breaks the rules');
}
