/**
 * The directories that a tree extraction is in, from the target down: what they contained before,
 * what the archive has in them, and how they are finished. Used by tree.node.ts.
 */
import { byteKey, compareBytes, concatBytes } from '../../formats/bytes.ts';
import type { CatarNode } from '../../formats/catar-events.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { PipelineError } from '../errors.ts';
import { statDescriptor } from '../os/file-stat.node.ts';
import { fileSystemType } from '../os/file-system.node.ts';
import { featuresOfInodeFlags } from '../os/inode-flag-bits.ts';
import { getInodeFlags, isSubvolume } from '../os/inode-flags.node.ts';
import { DEFAULT_ACL_XATTR } from '../os/posix-acl.ts';
import { getXattr } from '../os/xattr.node.ts';
import { applyDifferences } from './apply-differences.node.ts';
import {
  restoreEarlyFlags,
  restoreLateFlags,
  unlockSubvolume,
  wantsSubvolume,
} from './apply-flags.node.ts';
import { type MetadataRules, restoreMetadata } from './apply-metadata.node.ts';
import type { ConfinedDir } from './confined-dir.node.ts';
import { differencesOf } from './differences.node.ts';
import { checkEntryName } from './entry-name.ts';
import { notKept, withFeature } from './feature-failure.ts';
import { wantedOf } from './wanted.node.ts';

/** Path below the target: of a directory, or of an entry in it. */
export function pathIn(place: OpenDirectory, name?: Uint8Array): Uint8Array {
  const names = name === undefined ? [] : [name];
  for (let at: OpenDirectory | undefined = place; at !== undefined; at = at.parent) {
    if (at.name.length > 0) names.unshift(at.name);
  }
  return concatBytes(names.flatMap((each, i) => (i === 0 ? [each] : [SLASH, each])));
}

/** What a directory does to everything that is made in it. */
interface Traits {
  /** New entries get an ACL from its default ACL. */
  readonly inheritsAcl: boolean;
  /** New entries get some of its chattr flags. */
  readonly handsOnFlags: boolean;
  readonly onFat: boolean;
  /** Nobody else can write to it while we work in it. */
  readonly isPrivate: boolean;
}

export interface OpenDirectory extends Traits {
  readonly directory: ConfinedDir;
  /** Undefined for the first one. */
  readonly parent: OpenDirectory | undefined;
  /** In its parent; empty for the first one. */
  readonly name: Uint8Array;
  /** Undefined for a target that keeps its own attributes. */
  readonly node: CatarNode | undefined;
  readonly existed: boolean;
  /** Private, and nothing was in it: entries can get their names at once. */
  readonly isNew: boolean;
  /** Entries that were there before and have not come up in the archive yet, as byte keys. */
  readonly leftOver: Set<string>;
  /** The highest name so far, in the order of archives. */
  highestName: Uint8Array | undefined;
  /** Work in it that goes on elsewhere, and directories in it that are not finished. */
  holdCount: number;
  /** When it was left, if it was: it is finished as soon as nothing holds it. */
  leftAt: number | undefined;
}

export interface TreeDirectoriesOptions {
  readonly rules: MetadataRules;
  readonly deleteExtra: boolean;
  /** Told of a directory that could not be finished after it was left. */
  readonly onFailure: (place: OpenDirectory, error: unknown) => void;
}

/** Nobody else looks in before the directory has its own mode; it stays so if none is restored. */
const NEW_DIRECTORY_PERMISSIONS = 0o700;

const NO_NAME = new Uint8Array(0);
const SLASH = Uint8Array.of(0x2f);

const VFAT = 0x4d44;
const FUSE = 0x65735546;

export class TreeDirectories {
  readonly #root: ConfinedDir;
  readonly #options: TreeDirectoriesOptions;
  readonly #open: OpenDirectory[] = [];
  /** Left and not finished. */
  readonly #held = new Set<OpenDirectory>();

  constructor(root: ConfinedDir, options: TreeDirectoriesOptions) {
    this.#root = root;
    this.#options = options;
  }

  /** The innermost directory that was entered and not left. */
  get current(): OpenDirectory {
    const top = this.#open.at(-1);
    if (top === undefined) throw new TypeError('no directory was entered');
    return top;
  }

  /** The target itself is the first directory of the archive. */
  enterRoot(node: CatarNode): void {
    this.#push(this.#root, node, NO_NAME);
    this.#restoreEarlyFlags(node);
  }

  /**
   * Registers an entry of the current directory, before it is made.
   * @param inTarget it is the only entry that will be made in the target, whatever else is there.
   * @returns whether something may have that name already
   * @throws PipelineError `UNSAFE_NAME` without subject, also if the archive has it twice
   */
  announce(name: Uint8Array, inTarget: boolean): boolean {
    checkEntryName(name);
    if (inTarget) {
      this.#open.push(opened(this.#root, undefined, traitsOf(this.#root.fd)));
      return true;
    }
    const { directory, leftOver, highestName } = this.current;
    const known = leftOver.delete(byteKey(name));
    if (highestName === undefined || compareBytes(highestName, name) < 0) {
      this.current.highestName = name;
      return known;
    }
    // Archives are in order; what comes out of order is new, unless it is there already.
    if (known || directory.lstat(name) === undefined) return known;
    const reason = 'the archive has this name twice in one directory';
    throw new PipelineError('UNSAFE_NAME', { step: 'use name', reason });
  }

  /**
   * Opens or makes a directory in the current one.
   * @param mayExist what `announce` has said.
   * @throws PipelineError without subject
   */
  enter(name: Uint8Array, node: CatarNode, mayExist: boolean): void {
    const { replay } = this.#options.rules;
    const parent = this.current;
    const asSubvolume = wantsSubvolume(node, replay);
    const { directory, created } = withFeature(FEATURE.subvolume, () =>
      parent.directory.openDirectory(name, {
        permissions: NEW_DIRECTORY_PERMISSIONS,
        asSubvolume,
        mayExist,
      }),
    );
    if (created) {
      const handsOnFlags = parent.handsOnFlags || node.entryFlags !== 0;
      const { inheritsAcl, onFat } = parent;
      // In a private directory, what was just made is what was opened.
      const isPrivate = parent.isPrivate && isPrivateDirectory(directory.fd);
      const traits = { inheritsAcl, handsOnFlags, onFat, isPrivate };
      const place = opened(directory, node, traits, parent, name);
      this.#open.push({ ...place, existed: false, isNew: isPrivate });
    } else this.#push(directory, node, name);
    this.#restoreEarlyFlags(node);
  }

  /** What must be set on the current directory before its contents come. */
  #restoreEarlyFlags(node: CatarNode): void {
    const { directory, existed, handsOnFlags, onFat } = this.current;
    const mayHaveFlags = existed || handsOnFlags;
    const beforeChange = () => directory.prepare();
    const flagged = { fd: directory.fd, node, mayHaveFlags, onFat, beforeChange };
    restoreEarlyFlags(flagged, this.#options.rules.replay);
  }

  /** Whether `announce` could only tell by looking whether the archive has this name twice. */
  isOutOfOrder(name: Uint8Array): boolean {
    const highest = this.#open.at(-1)?.highestName;
    return highest !== undefined && compareBytes(highest, name) >= 0;
  }

  /**
   * Leaves the current directory and finishes it, unless something holds it.
   * @param at rises from directory to directory.
   * @throws PipelineError without subject
   */
  leave(at: number): void {
    const place = this.current;
    place.leftAt = at;
    if (place.holdCount === 0) {
      this.#finish(place);
      this.#open.pop();
    } else {
      this.#held.add(place);
      this.#open.pop();
      if (place.parent !== undefined) this.hold(place.parent);
    }
    // The target of a subtree has no events of its own.
    if (this.#open.length === 1 && this.#open[0].node === undefined) this.#open.length = 0;
  }

  /** Nothing of `place` is finished before `release` was called as often. */
  hold(place: OpenDirectory): void {
    place.holdCount += 1;
  }

  release(place: OpenDirectory): void {
    place.holdCount -= 1;
    if (place.holdCount > 0 || !this.#held.has(place)) return;
    try {
      this.#finish(place);
    } catch (error) {
      this.#options.onFailure(place, error);
      return;
    }
    this.#held.delete(place);
    if (place.parent !== undefined) this.release(place.parent);
  }

  #finish(place: OpenDirectory): void {
    const { rules, deleteExtra } = this.#options;
    const { directory, node, existed, leftOver, inheritsAcl, onFat, handsOnFlags } = place;
    if (deleteExtra) for (const key of leftOver) directory.remove(Buffer.from(key, 'latin1'));
    if (node !== undefined) {
      const { fd } = directory;
      if (existed) this.#correct(directory, node, onFat);
      else restoreMetadata({ fd, node, inheritsAcl }, rules);
      const mayHaveFlags = existed || handsOnFlags;
      const beforeChange = () => directory.prepare();
      restoreLateFlags({ fd, node, mayHaveFlags, onFat, beforeChange }, rules.replay);
    }
    if (directory !== this.#root) directory.close();
  }

  /** Changes what differs in the attributes of a directory that was there before. */
  #correct(directory: ConfinedDir, node: CatarNode, onFat: boolean): void {
    const { rules } = this.#options;
    const { fd } = directory;
    const wanted = wantedOf(node, rules);
    const object = () => ({ fd, stat: statDescriptor(fd), onFat });
    if (differencesOf(object(), wanted, rules.replay) === 0) return;
    directory.prepare();
    const held = object();
    applyDifferences(held, wanted, differencesOf(held, wanted, rules.replay), rules.replay);
  }

  /** Frees all descriptors. */
  close(): void {
    for (const { directory } of [...this.#open, ...this.#held]) {
      if (directory !== this.#root) directory.close();
    }
    this.#open.length = 0;
    this.#held.clear();
    this.#root.close();
  }

  #push(directory: ConfinedDir, node: CatarNode, name: Uint8Array): void {
    const { replay } = this.#options.rules;
    const traits = traitsOf(directory.fd);
    const handsOnFlags = traits.handsOnFlags || node.entryFlags !== 0;
    const leftOver = new Set(directory.list().map(byteKey));
    const isNew = traits.isPrivate && leftOver.size === 0;
    const own = { ...traits, handsOnFlags };
    const place = opened(directory, node, own, this.#open.at(-1), name);
    this.#open.push({ ...place, leftOver, isNew });
    if (!wantsSubvolume(node, replay)) return;
    checkSubvolume(directory.fd);
    unlockSubvolume(directory.fd, replay);
  }
}

/** One that was there before, and whose entries are not known. */
function opened(
  directory: ConfinedDir,
  node: CatarNode | undefined,
  traits: Traits,
  parent?: OpenDirectory,
  name: Uint8Array = NO_NAME,
): OpenDirectory {
  return {
    ...traits,
    directory,
    parent,
    name,
    node,
    existed: true,
    isNew: false,
    leftOver: new Set(),
    highestName: undefined,
    holdCount: 0,
    leftAt: undefined,
  };
}

function traitsOf(fd: number): Traits {
  const type = fileSystemType(fd);
  return {
    inheritsAcl: getXattr(fd, DEFAULT_ACL_XATTR) !== undefined,
    handsOnFlags: featuresOfInodeFlags(getInodeFlags(fd) ?? 0) !== 0,
    onFat: type === VFAT || type === FUSE,
    isPrivate: isPrivateDirectory(fd),
  };
}

/** Ours, and nobody else may make, remove or rename anything in it; ACLs cannot exceed the mode. */
function isPrivateDirectory(fd: number): boolean {
  const { mode, uid } = statDescriptor(fd);
  return uid === (process.geteuid?.() ?? 0) && (mode & 0o022) === 0;
}

function checkSubvolume(fd: number): void {
  if (isSubvolume(fileSystemType(fd), statDescriptor(fd).inode)) return;
  throw notKept(FEATURE.subvolume, 'open directory', 'a subvolume in place of this directory');
}
