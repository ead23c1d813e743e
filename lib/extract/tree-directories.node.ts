/**
 * The directories that a tree extraction is in, from the target down: what they contained before,
 * what the archive has in them, and how they are finished. Used by tree.node.ts.
 */
import { byteKey, compareBytes } from '../../formats/bytes.ts';
import type { CatarNode } from '../../formats/catar-events.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { PipelineError } from '../errors.ts';
import { statDescriptor } from '../os/file-stat.node.ts';
import { fileSystemType } from '../os/file-system.node.ts';
import { featuresOfInodeFlags } from '../os/inode-flag-bits.ts';
import { getInodeFlags, isSubvolume } from '../os/inode-flags.node.ts';
import { DEFAULT_ACL_XATTR } from '../os/posix-acl.ts';
import { getXattr } from '../os/xattr.node.ts';
import {
  restoreEarlyFlags,
  restoreLateFlags,
  unlockSubvolume,
  wantsSubvolume,
} from './apply-flags.node.ts';
import { type MetadataRules, restoreMetadata } from './apply-metadata.node.ts';
import type { ConfinedDir } from './confined-dir.node.ts';
import { checkEntryName } from './entry-name.ts';
import { notKept, withFeature } from './feature-failure.ts';

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
  /** Undefined for a target that keeps its own attributes. */
  readonly node: CatarNode | undefined;
  readonly existed: boolean;
  /** Private, and nothing was in it: entries can get their names at once. */
  readonly isNew: boolean;
  /** Entries that were there before and have not come up in the archive yet, as byte keys. */
  readonly leftOver: Set<string>;
  /** The highest name so far, in the order of archives. */
  highestName: Uint8Array | undefined;
}

export interface TreeDirectoriesOptions {
  readonly rules: MetadataRules;
  readonly deleteExtra: boolean;
}

/** Nobody else looks in before the directory has its own mode; it stays so if none is restored. */
const NEW_DIRECTORY_PERMISSIONS = 0o700;

const VFAT = 0x4d44;
const FUSE = 0x65735546;

export class TreeDirectories {
  readonly #root: ConfinedDir;
  readonly #options: TreeDirectoriesOptions;
  readonly #open: OpenDirectory[] = [];

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
    this.#push(this.#root, node, traitsOf(this.#root.fd));
    this.#restoreEarlyFlags(node);
  }

  /**
   * Registers an entry of the current directory, before it is made.
   * @param inTarget it is the only entry that will be made in the target, whatever else is there.
   * @throws PipelineError `UNSAFE_NAME` without subject, also if the archive has it twice
   */
  announce(name: Uint8Array, inTarget: boolean): void {
    checkEntryName(name);
    if (inTarget) {
      this.#open.push(opened(this.#root, undefined, traitsOf(this.#root.fd)));
      return;
    }
    const { directory, leftOver, highestName } = this.current;
    const known = leftOver.delete(byteKey(name));
    if (highestName === undefined || compareBytes(highestName, name) < 0) {
      this.current.highestName = name;
      return;
    }
    // Archives are in order; what comes out of order is new, unless it is there already.
    if (known || directory.lstat(name) === undefined) return;
    const reason = 'the archive has this name twice in one directory';
    throw new PipelineError('UNSAFE_NAME', { step: 'use name', reason });
  }

  /** Opens or makes a directory in the current one. @throws PipelineError without subject */
  enter(name: Uint8Array, node: CatarNode): void {
    const { replay } = this.#options.rules;
    const parent = this.current;
    const asSubvolume = wantsSubvolume(node, replay);
    const { directory, created } = withFeature(FEATURE.subvolume, () =>
      parent.directory.openDirectory(name, { permissions: NEW_DIRECTORY_PERMISSIONS, asSubvolume }),
    );
    if (created) {
      const handsOnFlags = parent.handsOnFlags || node.entryFlags !== 0;
      const { inheritsAcl, onFat } = parent;
      // In a private directory, what was just made is what was opened.
      const isPrivate = parent.isPrivate && isPrivateDirectory(directory.fd);
      const traits = { inheritsAcl, handsOnFlags, onFat, isPrivate };
      this.#open.push({ ...opened(directory, node, traits), existed: false, isNew: isPrivate });
    } else this.#push(directory, node, traitsOf(directory.fd));
    this.#restoreEarlyFlags(node);
  }

  /** What must be set on the current directory before its contents come. */
  #restoreEarlyFlags(node: CatarNode): void {
    const { directory, existed, handsOnFlags, onFat } = this.current;
    const mayHaveFlags = existed || handsOnFlags;
    restoreEarlyFlags({ fd: directory.fd, node, mayHaveFlags, onFat }, this.#options.rules.replay);
  }

  /** Finishes the current directory. @throws PipelineError without subject */
  leave(isFirst: boolean): void {
    const { rules, deleteExtra } = this.#options;
    const { directory, node, existed, leftOver, inheritsAcl, onFat, handsOnFlags } = this.current;
    if (deleteExtra) for (const key of leftOver) directory.remove(Buffer.from(key, 'latin1'));
    if (node !== undefined) {
      const { fd } = directory;
      restoreMetadata({ fd, node, existed, inheritsAcl }, rules);
      const mayHaveFlags = existed || handsOnFlags;
      restoreLateFlags({ fd, node, mayHaveFlags, onFat }, rules.replay);
    }
    this.#open.pop();
    if (directory !== this.#root) directory.close();
    if (isFirst) this.#open.length = 0;
  }

  /** Frees all descriptors. */
  close(): void {
    for (const { directory } of this.#open) if (directory !== this.#root) directory.close();
    this.#open.length = 0;
    this.#root.close();
  }

  #push(directory: ConfinedDir, node: CatarNode, traits: Traits): void {
    const { replay } = this.#options.rules;
    const handsOnFlags = traits.handsOnFlags || node.entryFlags !== 0;
    const leftOver = new Set(directory.list().map(byteKey));
    const isNew = traits.isPrivate && leftOver.size === 0;
    const own = { ...traits, handsOnFlags };
    this.#open.push({ ...opened(directory, node, own), leftOver, isNew });
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
): OpenDirectory {
  return {
    ...traits,
    directory,
    node,
    existed: true,
    isNew: false,
    leftOver: new Set(),
    highestName: undefined,
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
