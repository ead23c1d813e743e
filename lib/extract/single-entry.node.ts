/**
 * One entry that is neither a directory nor simple, on its way into its directory: it is completed
 * under a temporary name and then takes its place, unless what is there is right already. Used by
 * tree.node.ts.
 */
import { closeSync } from 'node:fs';
import type { CatarNode } from '../../formats/catar-events.ts';
import type { FileStat } from '../os/file-stat.node.ts';
import { closeEntry } from '../os/open.node.ts';
import { restoreEarlyFlags, restoreLateFlags } from './apply-flags.node.ts';
import { type MetadataRules, restoreMetadata } from './apply-metadata.node.ts';
import { checkIsOurs, createOther } from './create-other.node.ts';
import { differencesOf, type HeldObject } from './differences.node.ts';
import { temporaryName } from './entry-name.ts';
import { keepOrChange, keepOther, type OldFile, openOldFile } from './old-entry.node.ts';
import type { Tally } from './tally.ts';
import type { OpenDirectory } from './tree-directories.node.ts';
import { type SharedFile, UpdatedContent } from './updated-content.node.ts';
import { wantedOf } from './wanted.node.ts';

/** How entries are restored. */
export interface EntryRules extends MetadataRules {
  /** Leave out runs of zeros. */
  readonly punchHoles: boolean;
  /** Share blocks with older files where the file system can. */
  readonly reflink: boolean;
  /** Counts what is done. */
  readonly tally: Tally;
}

export interface SingleEntryOptions {
  readonly name: Uint8Array;
  readonly node: CatarNode;
  readonly place: OpenDirectory;
  /** Something may have the name. */
  readonly mayExist: boolean;
  readonly shared: SharedFile | undefined;
  /** Asked for what the entry becomes a link to, if all is equal. */
  readonly link: LinkFinder | undefined;
}

/** Opens a file of the same metadata whose content begins in this way; it is closed with the entry. */
export type LinkFinder = (begin: Uint8Array) => OldFile | undefined;

export class SingleEntry {
  readonly #options: SingleEntryOptions;
  readonly #rules: EntryRules;
  readonly #temporary: Uint8Array;
  /** Of the new object: open for writing (files) or for the attributes (all others). */
  #fd: number | undefined;
  /** Whether something may have the temporary name. */
  #isMade = false;
  #content: UpdatedContent | undefined;
  /** The older file is one to link to, and does not have the name. */
  #isLink = false;

  constructor(options: SingleEntryOptions, rules: EntryRules) {
    this.#options = options;
    this.#rules = rules;
    this.#temporary = temporaryName(options.name);
  }

  /** Makes what can be made before the content. @throws PipelineError without subject, as all methods */
  begin(): void {
    const { name, node, place, mayExist } = this.#options;
    if (node.type === 'file') {
      // With the first bytes it is known which file there can be a link to.
      if (this.#options.link === undefined) this.#beginContent(undefined);
      return;
    }
    const wanted = wantedOf(node, this.#rules);
    if (mayExist && keepOther(place, name, node, wanted, this.#rules.replay)) return;
    const { directory } = place;
    this.#isMade = true;
    createOther(directory, this.#temporary, node, this.#permissions());
    this.#fd = directory.openForAttributes(this.#temporary);
    checkIsOurs(this.#fd, node);
  }

  /** Whether the content is complete, so that the rest of it need not come. */
  get isComplete(): boolean {
    return this.#content?.isComplete ?? this.#options.link === undefined;
  }

  /** The next bytes of the content; they may be reused afterwards. */
  write(bytes: Uint8Array): void {
    const { link } = this.#options;
    if (this.#content === undefined && link !== undefined) this.#beginContent(link(bytes));
    this.#content?.write(bytes);
  }

  /** The same as writing so many zeros, as fast as holes allow. */
  skip(length: number): void {
    if (this.#content === undefined && this.#options.link) this.#beginContent(undefined);
    this.#content?.skip(length);
  }

  /** Gives the entry its attributes and its name. */
  complete(): void {
    const { node } = this.#options;
    if (node.type === 'file') this.#completeContent();
    const fd = this.#fd ?? this.#content?.fd;
    if (fd !== undefined) this.#replace(fd);
    const done = fd ?? this.#content?.oldFd;
    if (done !== undefined) this.#options.shared?.onDone?.(done);
    this.#close();
  }

  /** Removes what is left of the entry, because of an earlier failure: that is the one to report. */
  drop(): void {
    try {
      if (this.#isMade) this.#options.place.directory.remove(this.#temporary);
    } catch {
      // The target is not ours to the end, or its file system has failed altogether.
    }
    this.#close();
  }

  #beginContent(link: OldFile | undefined): void {
    this.#content = this.#openContent(link);
    this.#content.begin();
  }

  #openContent(link: OldFile | undefined): UpdatedContent {
    const { name, node, place, mayExist, shared } = this.#options;
    const { punchHoles, reflink, tally } = this.#rules;
    const { size } = node;
    const old = this.#chooseOld(mayExist ? this.#openOld(name) : undefined, link);
    const isReadable = old !== undefined || shared !== undefined;
    const create = (): number => {
      const { directory } = place;
      this.#isMade = true;
      const permissions = this.#permissions();
      const fd = isReadable
        ? directory.createReadableFile(this.#temporary, permissions)
        : directory.createFile(this.#temporary, permissions);
      this.#fd = fd;
      restoreEarlyFlags(this.#flagged(fd), this.#rules.replay);
      return fd;
    };
    return new UpdatedContent({ size, punchHoles, reflink, old, shared, create, tally });
  }

  /** What has the name already, or what is to be linked; the other one is closed. */
  #chooseOld(old: OldFile | undefined, link: OldFile | undefined): OldFile | undefined {
    if (link === undefined) return old;
    if (old !== undefined && isSameFile(old.stat, link.stat)) {
      closeEntry(link.fd);
      return old;
    }
    if (old !== undefined) closeEntry(old.fd);
    this.#isLink = true;
    return link;
  }

  /** A file of another size is good for nothing but its blocks. */
  #openOld(name: Uint8Array): OldFile | undefined {
    const { node, place } = this.#options;
    return openOldFile(place, name, this.#rules.reflink ? undefined : node.size);
  }

  /** Of a new file as long as it is not complete. */
  #permissions(): number {
    const { mode } = this.#options.node;
    return this.#rules.replay.permissions ? 0o600 : (mode | 0o600) & 0o777;
  }

  /** Leaves an older file as it is, or completes the content of a new one. */
  #completeContent(): void {
    const { node, place } = this.#options;
    const content = this.#content;
    if (content === undefined) throw new TypeError('the entry was not begun');
    const old = content.finish();
    if (old === undefined) return;
    const object = { ...old, onFat: place.onFat };
    if (this.#isLink) {
      if (!this.#link(object)) content.makeNew();
      return;
    }
    if (keepOrChange(object, wantedOf(node, this.#rules), place, this.#rules.replay)) {
      this.#rules.tally.keptBytes += node.size;
    } else content.makeNew();
  }

  /** Gives the file the name of the entry, if its attributes are right and the system allows it. */
  #link(object: HeldObject): boolean {
    const { name, node, place } = this.#options;
    const { replay, tally } = this.#rules;
    if (differencesOf(object, wantedOf(node, this.#rules), replay) !== 0) return false;
    const { directory } = place;
    if (!directory.link(object.fd, this.#temporary)) return false;
    this.#isMade = true;
    directory.replace(this.#temporary, name);
    this.#isMade = false;
    tally.hardlinkBytes += node.size;
    return true;
  }

  #replace(fd: number): void {
    const { name, node, place } = this.#options;
    const { directory, inheritsAcl } = place;
    restoreMetadata({ fd, node, inheritsAcl }, this.#rules);
    directory.replace(this.#temporary, name, node.type === 'file' ? fd : undefined);
    this.#isMade = false;
    if (node.type === 'file') restoreLateFlags(this.#flagged(fd), this.#rules.replay);
  }

  #flagged(fd: number) {
    const { node, place } = this.#options;
    return { fd, node, mayHaveFlags: place.handsOnFlags, onFat: place.onFat };
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#content?.close();
    this.#content = undefined;
  }
}

function isSameFile(a: FileStat, b: FileStat): boolean {
  return a.device === b.device && a.inodeLow === b.inodeLow && a.inodeHigh === b.inodeHigh;
}
