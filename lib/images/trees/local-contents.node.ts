/**
 * Content that is on this machine: files of the target that were moved or copied, content that came for
 * several entries, or files of a source that is here, too. Sees to it that none is lost before it is
 * used. Used by restore-tree.
 */
import { constants } from 'node:fs';
import { byteKey, equalBytes } from '../../../formats/bytes.ts';
import { isCasError } from '../../../formats/errors.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { type FileStat, hasChanged, statDescriptor } from '../../os/file-stat.node.ts';
import { closeEntry } from '../../os/open.node.ts';
import type { ChangedEntry, TreeChanges } from './changes.node.ts';
import { type ContentPlaces, type OwnFile, openOwn } from './find-content.node.ts';
import { entriesOf, type ListedDirectory, pathOf } from './listing.node.ts';
import type { TreePlan } from './plan.node.ts';
import type { StagedFile, Staging } from './staging.node.ts';

/** Content that is on this machine. */
export interface LocalContent {
  readonly fd: number;
  readonly digest: Uint8Array | undefined;
  /** The entry may become a link to it. */
  readonly link?: StagedFile;
  /** What it must still be when it was read. */
  readonly stat?: FileStat;
}

/** Whether what was read is what it should be. */
export function isStill({ fd, stat }: LocalContent): boolean {
  return stat === undefined || !hasChanged(stat, statDescriptor(fd));
}

export interface LocalEnds {
  /** Descriptor of the target. */
  readonly root: number;
  readonly staging: Staging;
  /** What nobody wants is removed. */
  readonly deletesExtra: boolean;
  /** Opens a file of the source, if that is on this machine. */
  readonly openSource: ((path: Uint8Array) => number) | undefined;
}

const { S_IFMT, S_IFREG } = constants;

export class LocalContents {
  readonly #plan: TreePlan;
  readonly #changes: TreeChanges;
  readonly #places: ContentPlaces;
  readonly #ends: LocalEnds;
  /** Content of our own that waits in the staging folder, by its old path. */
  readonly #kept = new Map<string, StagedFile>();
  /** Content that came and is wanted at several places, by number of the first. */
  readonly #spooled = new Map<number, StagedFile>();
  /** Staged files that have become a moved file. */
  readonly #moved = new Set<StagedFile>();
  #wantedByOwn: Map<ListedDirectory, ListedDirectory> | undefined;
  #names: { readonly directory: ListedDirectory; readonly at: Map<string, number> } | undefined;

  constructor(plan: TreePlan, changes: TreeChanges, places: ContentPlaces, ends: LocalEnds) {
    this.#plan = plan;
    this.#changes = changes;
    this.#places = places;
    this.#ends = ends;
  }

  /** Content has come that others want, too. */
  addSpooled({ number }: ChangedEntry, file: StagedFile): void {
    this.#spooled.set(number, file);
  }

  /** Opens what is here of a content. */
  open(change: ChangedEntry): LocalContent | undefined {
    const place = this.#places.get(change.number);
    if (place?.kind !== 'own' && this.#ends.openSource !== undefined) {
      return this.#fromSource(change, this.#ends.openSource);
    }
    if (place?.kind === 'shared') {
      const file = this.#spooled.get(place.origin.number);
      const fd = file && this.#ends.staging.openFile(file);
      if (fd !== undefined) return { fd, digest: undefined };
    }
    if (place?.kind !== 'own') return undefined;
    const staged = this.#kept.get(keyOf(place.file));
    if (staged === undefined) {
      const fd = openOwn(this.#ends.root, place.file);
      return fd === undefined ? undefined : { fd, digest: place.digest };
    }
    const fd = this.#ends.staging.openFile(staged);
    if (fd === undefined) return undefined;
    const { digest } = place;
    const { attributes, mtime } = place.file.entry;
    const isSame = attributes === change.entry.attributes && mtime === change.entry.mtime;
    if (!isSame || !staged.isOnly || this.#moved.has(staged)) return { fd, digest };
    this.#moved.add(staged);
    return { fd, digest, link: staged };
  }

  /** A file of the source on this machine; undefined if it is not what was listed. */
  #fromSource(
    { directory, entry }: ChangedEntry,
    open: (path: Uint8Array) => number,
  ): LocalContent | undefined {
    let fd: number | undefined;
    try {
      fd = open(pathOf(directory, entry.name));
      const stat = statDescriptor(fd);
      const isFile = (stat.mode & S_IFMT) === S_IFREG && stat.size === entry.size;
      if (isFile && this.#hasTime(stat, entry.mtime)) return { fd, digest: undefined, stat };
    } catch (error) {
      if (!isCasError(error)) throw error;
    }
    if (fd !== undefined) closeEntry(fd);
    return undefined;
  }

  #hasTime({ mtimeNs }: FileStat, time: bigint): boolean {
    const { featureFlags } = this.#plan.wanted.sets;
    return (featureFlags & FEATURE.timeNsec) === 0n || BigInt.asUintN(64, mtimeNs) === time;
  }

  /** Brings content to safety whose place will be taken or removed before it is used. */
  keep(order: readonly ChangedEntry[]): void {
    for (const change of order) {
      const place = this.#places.get(change.number);
      if (place?.kind === 'shared' && this.#ends.openSource === undefined) {
        this.#ends.staging.prepare();
      }
      if (place?.kind !== 'own' || this.#staysUntil(place.file, change)) continue;
      const key = keyOf(place.file);
      if (this.#kept.has(key)) continue;
      const staged = this.#ends.staging.keep(place.file);
      if (staged === undefined) continue;
      // What still has a place in the tree keeps its inode for that.
      const isGone = this.#ends.deletesExtra && this.#wantedAt(place.file) === undefined;
      const isOnly = staged.isOnly && isGone;
      this.#kept.set(key, { ...staged, isOnly });
    }
  }

  /** Whether a file of ours is where it is until this entry is restored. */
  #staysUntil(file: OwnFile, { directory, entry }: ChangedEntry): boolean {
    const isItself =
      this.#plan.ownOf.get(directory) === file.directory && equalBytes(entry.name, file.entry.name);
    if (isItself) return true;
    const number = this.#wantedAt(file);
    return number !== undefined && !this.#changes.changed.has(number);
  }

  /** Number of the wanted entry that has the place of a file of ours. */
  #wantedAt(file: OwnFile): number | undefined {
    const wanted = this.#wantedDirectories().get(file.directory);
    if (wanted === undefined) return undefined;
    const at = this.#namesOf(wanted).get(byteKey(file.entry.name));
    return at === undefined ? undefined : wanted.first + at;
  }

  #wantedDirectories(): Map<ListedDirectory, ListedDirectory> {
    this.#wantedByOwn ??= new Map([...this.#plan.ownOf].map(([wanted, own]) => [own, wanted]));
    return this.#wantedByOwn;
  }

  #namesOf(directory: ListedDirectory): Map<string, number> {
    if (this.#names?.directory !== directory) {
      const at = new Map(entriesOf(directory).map(({ name }, i) => [byteKey(name), i]));
      this.#names = { directory, at };
    }
    return this.#names.at;
  }
}

function keyOf(file: OwnFile): string {
  return byteKey(pathOf(file.directory, file.entry.name));
}
