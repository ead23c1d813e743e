/**
 * Makes a target the wanted tree: directories in which nothing is to be done are passed over, all other
 * entries go to the extraction of trees with content from wherever it is
 * (spec/formats/tree-session.md, "Restoring"). Used by the receiving side of a tree session.
 */
import { closeSync } from 'node:fs';
import { equalBytes } from '../../../formats/bytes.ts';
import type { CatarNode } from '../../../formats/catar-events.ts';
import { escapeBytes } from '../../../formats/escape.ts';
import type { ReadEntry } from '../../../formats/tree-session.ts';
import { throwIfAborted } from '../../errors.ts';
import { FileContent } from '../../extract/file-content.node.ts';
import type { OldFile } from '../../extract/old-entry.node.ts';
import { LARGEST_SIMPLE } from '../../extract/simple-entry.node.ts';
import { TreeExtractor, type TreeOptions } from '../../extract/tree.node.ts';
import type { SharedFile } from '../../extract/updated-content.node.ts';
import { statDescriptor } from '../../os/file-stat.node.ts';
import { nextData } from '../../os/holes.node.ts';
import { closeEntry } from '../../os/open.node.ts';
import { type Breather, createBreather } from '../../work/breathe.ts';
import type { ChangedEntry, TreeChanges } from './changes.node.ts';
import { ContentDigest, readPiece } from './file-digest.node.ts';
import type { ContentPlaces, OwnFile } from './find-content.node.ts';
import { entriesOf, type ListedDirectory, pathOf } from './listing.node.ts';
import { isStill, type LocalContent, LocalContents } from './local-contents.node.ts';
import type { TreeConnection } from './messages.ts';
import type { TreePlan } from './plan.node.ts';
import { ContentReceiver } from './receive-content.node.ts';
import { Staging } from './staging.node.ts';

export interface RestoreOptions {
  readonly target: string;
  /** Descriptor of the target. */
  readonly root: number;
  readonly salt: Uint8Array;
  /** How entries are restored. */
  readonly tree: TreeOptions;
  /** Share blocks with other files of the target where the file system can. */
  readonly reflink: boolean;
  /** Opens a file of the source, if that is on this machine. */
  readonly openSource?: ((path: Uint8Array) => number) | undefined;
  /** Told of files that are not what they should be. */
  readonly onIncomplete: (label: string, reason: string) => void;
  /** Told of content that was written or found. */
  readonly onContent: (byteCount: number) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface RestoredTree {
  /** Content that came over the connection. */
  readonly receivedBytes: number;
  /** Content that files of the target had, at the same or another place. */
  readonly ownBytes: number;
  /** Files that were moved without a copy. */
  readonly movedBytes: number;
}

const PIECE_LENGTH = 256 * 1024;
/** Smaller files are copied: they have hardly a block to share. */
const LEAST_SHARED = 4096;
/** If so many files in a row cannot share their blocks, no others will. */
const ENOUGH_REFUSALS = 3;

export class TreeRestorer {
  readonly #options: RestoreOptions;
  readonly #plan: TreePlan;
  readonly #changes: TreeChanges;
  readonly #places: ContentPlaces;
  readonly #staging: Staging;
  readonly #local: LocalContents;
  readonly #receiver: ContentReceiver;
  readonly #extractor: TreeExtractor;
  readonly #breathe: Breather = createBreather();
  readonly #buffer = Buffer.allocUnsafeSlow(PIECE_LENGTH);
  /** Of the file that is restored. */
  #content: LocalContent | undefined;
  #refusals = 0;
  #ownBytes = 0;

  constructor(
    connection: TreeConnection,
    plan: TreePlan,
    changes: TreeChanges,
    places: ContentPlaces,
    options: RestoreOptions,
  ) {
    this.#plan = plan;
    this.#changes = changes;
    this.#places = places;
    this.#options = options;
    const { root, salt, signal, openSource } = options;
    this.#staging = new Staging(root);
    const deletesExtra = options.tree.deleteExtra ?? true;
    const ends = { root, staging: this.#staging, openSource, deletesExtra };
    this.#local = new LocalContents(plan, changes, places, ends);
    const oldOf = (change: ChangedEntry) => this.#oldOf(change);
    this.#receiver = new ContentReceiver(connection, { root, salt, oldOf, signal });
    this.#extractor = new TreeExtractor(options.target, {
      ...options.tree,
      reflink: options.reflink,
      sharedFile: () => this.#sharedFile(),
      linkFrom: () => this.#linkFinder(),
    });
  }

  /** @param order changed entries, in the order of this restoring */
  async run(order: readonly ChangedEntry[]): Promise<RestoredTree> {
    try {
      this.#local.keep(order);
      this.#receiver.request(this.#comingOnes(order));
      const { directories, root, sets } = this.#plan.wanted;
      await this.#extractor.handle({ kind: 'enter', name: root.name, node: sets.entryNode(root) });
      await this.#directory(directories[0]);
      await this.#receiver.finish();
      await this.#extractor.finish();
    } catch (error) {
      throw (await this.#extractor.firstError(error)) ?? error;
    } finally {
      await this.#extractor.abort();
      this.#staging.remove();
    }
    const { hardlinkBytes } = this.#extractor.statistics;
    const { byteCount } = this.#receiver;
    return { receivedBytes: byteCount, ownBytes: this.#ownBytes, movedBytes: hardlinkBytes };
  }

  /** Files whose content comes from the other side. */
  #comingOnes(order: readonly ChangedEntry[]): readonly ChangedEntry[] {
    if (this.#options.openSource !== undefined) return [];
    return order.filter(({ number }) => this.#places.get(number)?.kind === 'other side');
  }

  /** The rest of a directory that was entered. */
  async #directory(directory: ListedDirectory): Promise<void> {
    const { sets } = this.#plan.wanted;
    const { changed, unchanged } = this.#changes;
    let children = 0;
    const entries = entriesOf(directory);
    for (let i = 0; i < entries.length; i++) {
      throwIfAborted(this.#options.signal);
      await this.#breathe();
      const entry = entries[i];
      const node = sets.entryNode(entry);
      const change = changed.get(directory.first + i);
      if (node.type === 'directory') {
        const child = directory.children[children++];
        if (change === undefined && unchanged.has(child)) this.#extractor.keep(entry.name);
        else {
          await this.#extractor.handle({ kind: 'enter', name: entry.name, node });
          await this.#directory(child);
        }
      } else if (change === undefined) this.#extractor.keep(entry.name);
      else if (entry.isFile && entry.size > 0) await this.#file(change, node);
      else await this.#whole(entry, node, undefined);
    }
    await this.#extractor.handle({ kind: 'leave' });
  }

  async #whole(entry: ReadEntry, node: CatarNode, bytes: Uint8Array | undefined): Promise<void> {
    await this.#extractor.handle({ kind: 'enter', name: entry.name, node });
    if (bytes !== undefined) await this.#extractor.handle({ kind: 'data', bytes });
    await this.#extractor.handle({ kind: 'leave' });
  }

  async #file(change: ChangedEntry, node: CatarNode): Promise<void> {
    const place = this.#places.get(change.number);
    let reason: string | undefined = GONE;
    const isLocal = this.#options.openSource !== undefined;
    if (place?.kind === 'other side' && !isLocal)
      reason = await this.#received(change, node, place.isShared);
    else if (place !== undefined && place.kind !== 'unavailable') {
      const content = this.#local.open(change);
      if (content !== undefined) {
        try {
          reason = await this.#fromHere(change, node, content);
        } finally {
          closeEntry(content.fd);
        }
      }
    }
    this.#options.onContent(change.entry.size);
    if (reason !== undefined) this.#options.onIncomplete(this.#label(change), reason);
  }

  /** A file whose content is here. @returns why it could not be restored */
  async #fromHere(
    change: ChangedEntry,
    node: CatarNode,
    content: LocalContent,
  ): Promise<string | undefined> {
    const { entry } = change;
    const { size } = entry;
    const extractor = this.#extractor;
    this.#ownBytes += size;
    if (size <= LARGEST_SIMPLE && content.link === undefined) {
      const bytes = Buffer.allocUnsafeSlow(size);
      const isRead = readPiece(content.fd, bytes, 0) === size && isDigest(bytes, content.digest);
      const isRight = isRead && isStill(content);
      if (isRight) await this.#whole(entry, node, bytes);
      else extractor.keep(entry.name);
      return isRight ? undefined : CHANGED_HERE;
    }
    this.#content = content;
    try {
      await extractor.handle({ kind: 'enter', name: entry.name, node });
      const isRight = (await this.#copyContent(content, size)) && isStill(content);
      if (!isRight) extractor.dropEntry();
      await extractor.handle({ kind: 'leave' });
      return isRight ? undefined : CHANGED_HERE;
    } finally {
      this.#content = undefined;
    }
  }

  async #copyContent({ fd, digest }: LocalContent, size: number): Promise<boolean> {
    const extractor = this.#extractor;
    const found = new ContentDigest();
    for (let offset = 0; offset < size; ) {
      if (!extractor.wantsContent) return true;
      throwIfAborted(this.#options.signal);
      const data = Math.min(size, nextData(fd, offset) ?? size);
      if (data > offset) {
        found.zeros(data - offset);
        await extractor.skip(data - offset);
        offset = data;
        continue;
      }
      const piece = this.#buffer.subarray(0, Math.min(PIECE_LENGTH, size - offset));
      if (readPiece(fd, piece, offset) < piece.length) return false;
      found.update(piece);
      await extractor.handle({ kind: 'data', bytes: piece });
      offset += piece.length;
      await this.#breathe();
    }
    return digest === undefined || equalBytes(found.finish(), digest);
  }

  /** A file whose content comes. @returns why it could not be restored */
  async #received(
    change: ChangedEntry,
    node: CatarNode,
    isShared: boolean,
  ): Promise<string | undefined> {
    const { entry } = change;
    if (isShared) return this.#spool(change, node);
    if (entry.size <= LARGEST_SIMPLE) {
      const bytes = new Uint8Array(entry.size);
      let filled = 0;
      const reason = await this.#receiver.receive(change, {
        write: (part) => {
          bytes.set(part, filled);
          filled += part.length;
          return undefined;
        },
        skip: (length) => {
          filled += length;
          return undefined;
        },
      });
      if (reason === undefined) await this.#whole(entry, node, bytes);
      else this.#extractor.keep(entry.name);
      return reason;
    }
    const extractor = this.#extractor;
    await extractor.handle({ kind: 'enter', name: entry.name, node });
    const reason = await this.#receiver.receive(change, {
      write: (bytes) => extractor.handle({ kind: 'data', bytes }),
      skip: (length) => extractor.skip(length),
    });
    if (reason !== undefined) extractor.dropEntry();
    await extractor.handle({ kind: 'leave' });
    return reason;
  }

  /** Content that is wanted at several places comes once. */
  async #spool(change: ChangedEntry, node: CatarNode): Promise<string | undefined> {
    const { size } = change.entry;
    const { fd, file } = this.#staging.create(size);
    try {
      const writer = new FileContent(fd, size, true, 0);
      const reason = await this.#receiver.receive(change, {
        write: (bytes) => {
          writer.write(bytes);
          return undefined;
        },
        skip: (length) => {
          writer.skip(length);
          return undefined;
        },
      });
      if (reason !== undefined) {
        this.#extractor.keep(change.entry.name);
        return reason;
      }
      writer.finish();
      this.#local.addSpooled(change, file);
      return await this.#fromHere(change, node, { fd, digest: undefined });
    } finally {
      closeSync(fd);
    }
  }

  #oldOf({ directory, own }: ChangedEntry): OwnFile | undefined {
    const ownDirectory = this.#plan.ownOf.get(directory);
    if (!own?.isFile || ownDirectory === undefined) return undefined;
    return { directory: ownDirectory, entry: own };
  }

  #sharedFile(): SharedFile | undefined {
    const content = this.#content;
    const { reflink } = this.#options;
    if (!reflink || content === undefined || content.link) return undefined;
    if (this.#refusals >= ENOUGH_REFUSALS) return undefined;
    if (statDescriptor(content.fd).size < LEAST_SHARED) return undefined;
    return {
      fd: content.fd,
      onRefused: () => {
        this.#refusals += 1;
      },
    };
  }

  /** A moved file is the old one under another name, if all else is equal, too. */
  #linkFinder(): ((begin: Uint8Array) => OldFile | undefined) | undefined {
    const link = this.#content?.link;
    if (link === undefined) return undefined;
    return () => {
      const fd = this.#staging.openFile(link);
      return fd === undefined ? undefined : { fd, stat: statDescriptor(fd) };
    };
  }

  #label({ directory, entry }: ChangedEntry): string {
    const path = escapeBytes(pathOf(directory, entry.name));
    return `${this.#options.target.replace(/\/$/, '')}/${path}`;
  }
}

const GONE = 'it has changed or is gone on the other side';
const CHANGED_HERE = 'its content has changed here meanwhile';

function isDigest(bytes: Uint8Array, digest: Uint8Array | undefined): boolean {
  if (digest === undefined) return true;
  const found = new ContentDigest();
  found.update(bytes);
  return equalBytes(found.finish(), digest);
}
