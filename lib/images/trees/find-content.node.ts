/**
 * Where the content of files that differ comes from: a file of our own that was moved, renamed or
 * copied, another wanted file, or the other side (spec/formats/tree-session.md, "Content that is there").
 * Used by the receiving side of a tree session.
 */
import { byteKey, equalBytes } from '../../../formats/bytes.ts';
import { type DigestItem, readDigest } from '../../../formats/tree-content.ts';
import { encodeRuns, type ReadEntry, TREE_KIND } from '../../../formats/tree-session.ts';
import { PipelineError } from '../../errors.ts';
import { statDescriptor } from '../../os/file-stat.node.ts';
import { closeEntry, openBelow } from '../../os/open.node.ts';
import { type Breather, createBreather } from '../../work/breathe.ts';
import type { ChangedEntry, TreeChanges } from './changes.node.ts';
import { digestFile, headOfFile } from './file-digest.node.ts';
import { entriesOf, type ListedDirectory, pathOf, type TreeListing } from './listing.node.ts';
import { MessageReader, type TreeConnection } from './messages.ts';

/** A file of the tree that is there. */
export interface OwnFile {
  readonly directory: ListedDirectory;
  /** What is recorded of it. */
  readonly entry: ReadEntry;
}

/** Where the content of a wanted file is. */
export type ContentPlace =
  | { readonly kind: 'own'; readonly file: OwnFile; readonly digest: Uint8Array }
  /** To be asked for. `isShared`: others want it, too. */
  | { readonly kind: 'other side'; isShared: boolean }
  /** The same as that of another wanted file, whose content comes earlier. */
  | { readonly kind: 'shared'; readonly origin: ChangedEntry }
  | { readonly kind: 'unavailable' };

export type ContentPlaces = ReadonlyMap<number, ContentPlace>;

export interface FindOptions {
  /** Descriptor of the target; undefined if there is none yet. */
  readonly root: number | undefined;
  readonly own: TreeListing;
  /** The directory of ours that has the place of a wanted one. */
  readonly ownOf: ReadonlyMap<ListedDirectory, ListedDirectory>;
  readonly signal?: AbortSignal | undefined;
}

/** Shorter contents cost no more than their digests. */
const LEAST_LOOKED_FOR = 16;

/** Places by number of the entry, for all files that have any content. */
export async function findContent(
  connection: TreeConnection,
  order: readonly ChangedEntry[],
  options: FindOptions,
): Promise<ContentPlaces> {
  const wanted = order.filter(({ entry }) => entry.isFile && entry.size > 0);
  const finder = new ContentFinder(connection, options);
  return finder.run(wanted);
}

class ContentFinder {
  readonly #connection: TreeConnection;
  readonly #options: FindOptions;
  readonly #own: OwnDigests;
  /** The first wanted file of each content. */
  readonly #origins = new Map<string, ChangedEntry>();
  readonly #places = new Map<number, ContentPlace>();

  constructor(connection: TreeConnection, options: FindOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#own = new OwnDigests(options);
  }

  async run(wanted: readonly ChangedEntry[]): Promise<ContentPlaces> {
    const counts = new Map<number, number>();
    for (const { entry } of wanted) counts.set(entry.size, (counts.get(entry.size) ?? 0) + 1);
    this.#own.collect(counts);
    const asked = wanted.filter(
      ({ entry: { size } }) =>
        size >= LEAST_LOOKED_FOR && (this.#own.hasSize(size) || (counts.get(size) ?? 0) > 1),
    );
    const digests = await this.#askDigests(asked);
    for (const change of wanted) {
      const { number } = change;
      const item = digests.get(number);
      if (item !== undefined) this.#places.set(number, await this.#place(change, item));
      else this.#places.set(number, digests.has(number) ? UNAVAILABLE : fromOtherSide());
    }
    return this.#places;
  }

  async #place(change: ChangedEntry, item: DigestItem): Promise<ContentPlace> {
    const { directory, entry, own } = change;
    const ownDirectory = this.#options.ownOf.get(directory);
    if (own?.isFile && own.size === entry.size && ownDirectory !== undefined) {
      const file = { directory: ownDirectory, entry: own };
      if (await this.#own.has(file, item)) return { kind: 'own', file, digest: item.digest };
    }
    const key = `${entry.size}:${byteKey(item.digest)}`;
    const origin = this.#origins.get(key);
    const known = origin && this.#places.get(origin.number);
    if (origin === undefined || known === undefined) {
      this.#origins.set(key, change);
      const file = await this.#own.find(entry.size, item);
      return file === undefined ? fromOtherSide() : { kind: 'own', file, digest: item.digest };
    }
    if (known.kind !== 'other side') return known;
    known.isShared = true;
    return { kind: 'shared', origin };
  }

  async #askDigests(asked: readonly ChangedEntry[]): Promise<Map<number, DigestItem | undefined>> {
    const result = new Map<number, DigestItem | undefined>();
    if (asked.length === 0) return result;
    const ascending = [...asked].sort((a, b) => a.number - b.number);
    const runs = encodeRuns(ascending.map(({ number }) => ({ first: number, count: 1 })));
    await this.#connection.send(TREE_KIND.wantDigests, runs);
    const reader = new MessageReader(this.#connection, TREE_KIND.digests, 'DIGESTS');
    for (const { number, entry } of ascending) {
      result.set(number, readDigest(await reader.next(), entry.size));
    }
    await reader.finish();
    return result;
  }
}

function fromOtherSide(): ContentPlace {
  return { kind: 'other side', isShared: false };
}

/** Our own files of one size. */
interface SameSize {
  readonly files: OwnFile[];
  /** By digest of the begin; only of large files. */
  heads?: Map<number, OwnFile[]>;
  /** By digest. */
  readonly full: Map<string, OwnFile>;
  isComplete: boolean;
}

/** Our own files by their contents; read when they are needed. */
class OwnDigests {
  readonly #options: FindOptions;
  readonly #breathe: Breather = createBreather();
  readonly #bySize = new Map<number, SameSize>();

  constructor(options: FindOptions) {
    this.#options = options;
  }

  /** Files of these sizes. */
  collect(sizes: ReadonlyMap<number, number>): void {
    if (sizes.size === 0 || this.#options.root === undefined) return;
    for (const directory of this.#options.own.directories) {
      for (const entry of entriesOf(directory)) {
        const { isFile, size } = entry;
        if (!isFile || !sizes.has(size)) continue;
        const file = { directory, entry };
        const known = this.#bySize.get(size);
        if (known !== undefined) known.files.push(file);
        else this.#bySize.set(size, { files: [file], full: new Map(), isComplete: false });
      }
    }
  }

  hasSize(size: number): boolean {
    return this.#bySize.has(size);
  }

  async has(file: OwnFile, { digest, head }: DigestItem): Promise<boolean> {
    if (head !== undefined && (await this.#head(file)) !== head) return false;
    const found = await this.#digest(file);
    return found !== undefined && equalBytes(found, digest);
  }

  async find(size: number, item: DigestItem): Promise<OwnFile | undefined> {
    const same = this.#bySize.get(size);
    if (same === undefined) return undefined;
    const key = byteKey(item.digest);
    if (item.head === undefined) {
      if (!same.isComplete) await this.#digestAll(same, same.files);
      same.isComplete = true;
      return same.full.get(key);
    }
    same.heads ??= await this.#readHeads(same.files);
    const candidates = same.heads.get(item.head) ?? [];
    // Whoever has the same begin is read once.
    same.heads.set(item.head, []);
    await this.#digestAll(same, candidates);
    return same.full.get(key);
  }

  async #readHeads(files: readonly OwnFile[]): Promise<Map<number, OwnFile[]>> {
    const result = new Map<number, OwnFile[]>();
    for (const file of files) {
      const head = await this.#head(file);
      if (head === undefined) continue;
      const known = result.get(head);
      if (known === undefined) result.set(head, [file]);
      else known.push(file);
    }
    return result;
  }

  async #digestAll({ full }: SameSize, files: readonly OwnFile[]): Promise<void> {
    for (const file of files) {
      const digest = await this.#digest(file);
      const key = digest && byteKey(digest);
      if (key !== undefined && !full.has(key)) full.set(key, file);
    }
  }

  #head(file: OwnFile): Promise<number | undefined> {
    return this.#read(file, async (fd) => headOfFile(fd));
  }

  #digest(file: OwnFile): Promise<Uint8Array | undefined> {
    const { signal } = this.#options;
    return this.#read(file, (fd) =>
      digestFile(fd, file.entry.size, { breathe: this.#breathe, signal }),
    );
  }

  /** Undefined if it cannot be read. */
  async #read<Value>(
    file: OwnFile,
    act: (fd: number) => Promise<Value | undefined>,
  ): Promise<Value | undefined> {
    const opened = openOwn(this.#options.root, file);
    if (opened === undefined) return undefined;
    try {
      return await act(opened);
    } finally {
      closeEntry(opened);
    }
  }
}

const UNAVAILABLE: ContentPlace = { kind: 'unavailable' };

/** @returns undefined if there is no such file any more, or it cannot be read */
export function openOwn(root: number | undefined, file: OwnFile): number | undefined {
  if (root === undefined) return undefined;
  let fd: number | undefined;
  try {
    fd = openBelow(root, pathOf(file.directory, file.entry.name));
    const { mode, size } = statDescriptor(fd);
    if ((mode & 0o170000) === 0o100000 && size === file.entry.size) return fd;
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
  }
  if (fd !== undefined) closeEntry(fd);
  return undefined;
}

/** Entries that differ, in the order in which they are restored. */
export function inOrder(
  root: ListedDirectory,
  { changed, unchanged }: TreeChanges,
  isDirectory: (entry: ReadEntry) => boolean,
): ChangedEntry[] {
  const result: ChangedEntry[] = [];
  const visit = (directory: ListedDirectory): void => {
    let child = 0;
    entriesOf(directory).forEach((entry, i) => {
      const change = changed.get(directory.first + i);
      if (change !== undefined) result.push(change);
      if (!isDirectory(entry)) return;
      const below = directory.children[child++];
      if (!unchanged.has(below)) visit(below);
    });
  };
  if (!unchanged.has(root)) visit(root);
  return result;
}
