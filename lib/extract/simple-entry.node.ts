/**
 * Entries that are nothing but a small file or a symbolic link with owner, mode and time: nearly all
 * entries of nearly all archives. They are restored in one go with as few system calls as can be,
 * in this thread or another (spec/decisions/0013). Used by the entry sinks.
 */
import { closeSync, fchmodSync, fchownSync, ftruncateSync } from 'node:fs';
import type { CatarNode } from '../../formats/catar-events.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { type FileStat, statDescriptor, statEntry } from '../os/file-stat.node.ts';
import { nativeAvailable } from '../os/libc.node.ts';
import { closeEntry } from '../os/open.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { setModificationTime, setModificationTimeAt } from '../os/times.node.ts';
import { writeFullySync } from '../os/write.node.ts';
import { type MetadataRules, restoredTime } from './apply-metadata.node.ts';
import {
  type Attributes,
  checkKept,
  hasOwner,
  hasPermissions,
  PERMISSIONS,
  settingMode,
  settingOwner,
} from './attributes.node.ts';
import type { ConfinedDir } from './confined-dir.node.ts';
import { run } from './directory-calls.node.ts';
import { temporaryName } from './entry-name.ts';
import { withFeature } from './feature-failure.ts';
import {
  hasContent,
  keepOrChange,
  keepSymlink,
  openOldFile,
  setOwnerAt,
} from './old-entry.node.ts';
import type { Owner } from './owner.node.ts';
import { dropTemporary, type Replacement } from './replacement.node.ts';
import type { ReplaySet } from './replay-set.ts';
import { dataSpans } from './sparse.node.ts';
import type { Tally } from './tally.ts';
import { wantedOfSimple } from './wanted.node.ts';

/** Everything about one entry, in values for system calls. */
export interface SimpleEntry extends Attributes {
  readonly type: 'file' | 'symlink';
  readonly name: Uint8Array;
  /** Permissions to create a file with; the umask applies, and the system may know better. */
  readonly initialPermissions: number;
  /** Something may have the name. */
  readonly mayExist: boolean;
}

/** How simple entries are restored. */
export interface SimpleRules {
  /** Leave out runs of zeros. */
  readonly punchHoles: boolean;
  /** What an older entry must have to stay. */
  readonly replay: ReplaySet;
  /** Counts what is done. */
  readonly tally: Tally;
}

/** What is to be known about the directory of an entry. */
export interface SimplePlace {
  readonly directory: ConfinedDir;
  /** Nobody else can write to it. */
  readonly isPrivate: boolean;
  /** Private, and nothing was in it: entries get their names at once. */
  readonly isNew: boolean;
}

/** What a directory must not do to its entries, and what can be done in it. */
export interface PlaceTraits {
  readonly isPrivate: boolean;
  readonly inheritsAcl: boolean;
  readonly handsOnFlags: boolean;
  readonly onFat: boolean;
}

/** Bytes of a simple file, at most: longer ones are written while they come. */
export const LARGEST_SIMPLE = 128 * 1024;
const SPECIAL_BITS = 0o7000;
/** While content and owner are not complete. */
const PRIVATE = 0o600;

/**
 * The entry that a node is, if it is a simple one.
 * @param name is kept.
 * @param mayExist something may have that name.
 * @throws PipelineError without subject, unknown owner
 */
export function simpleEntryOf(
  name: Uint8Array,
  node: CatarNode,
  rules: MetadataRules,
  traits: PlaceTraits,
  mayExist: boolean,
): SimpleEntry | undefined {
  if (!isSimple(node, rules, traits)) return undefined;
  const { replay } = rules;
  const isFile = node.type === 'file';
  const owner = rules.owners.ownerOf(node);
  const permissions = isFile && replay.permissions ? node.mode & PERMISSIONS : undefined;
  return {
    type: isFile ? 'file' : 'symlink',
    name,
    owner,
    permissions,
    time: replay.times ? restoredTime(node) : undefined,
    initialPermissions: initialPermissions(node.mode, owner, permissions),
    mayExist,
  };
}

function isSimple(node: CatarNode, { replay }: MetadataRules, traits: PlaceTraits): boolean {
  const { type } = node;
  if (type === 'file') {
    if (node.size > LARGEST_SIMPLE || (replay.readOnly && !replay.permissions)) return false;
  } else if (type !== 'symlink' || !traits.isPrivate) return false;
  if (node.entryFlags !== 0 || node.xattrs.length > 0 || node.acl !== undefined) return false;
  if (node.fileCapabilities !== undefined || node.selinuxLabel !== undefined) return false;
  if (node.quotaProjectId !== undefined) return false;
  const { inheritsAcl, handsOnFlags, onFat } = traits;
  return !inheritsAcl && !handsOnFlags && !onFat && nativeAvailable();
}

/**
 * The recorded permissions at once, if they can be right: files get our user, and usually our group.
 * Nobody gains anything meanwhile, even if they get another group than we think.
 */
function initialPermissions(
  mode: number,
  owner: Owner | undefined,
  permissions: number | undefined,
): number {
  if (permissions === undefined) return (mode | PRIVATE) & 0o777;
  const groupOnly = (permissions >> 3) & 7 & ~permissions;
  const isPlain = (permissions & SPECIAL_BITS) === 0 && groupOnly === 0;
  return isPlain && (owner === undefined || isOurs(owner)) ? permissions : PRIVATE;
}

const ours = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };

function isOurs({ uid, gid }: Owner): boolean {
  return uid === ours.uid && gid === ours.gid;
}

/**
 * Makes an entry, replacing what has its name, unless that is right already.
 * @param content of the file, or target of the link.
 * @returns what is left to do where an older entry is replaced by a file
 * @throws PipelineError without subject; nothing incomplete is left
 */
export function restoreSimple(
  place: SimplePlace,
  entry: SimpleEntry,
  content: Uint8Array,
  rules: SimpleRules,
): Replacement | undefined {
  if (entry.type === 'file') return restoreFile(place, entry, content, rules);
  restoreSymlink(place, entry, content);
  return undefined;
}

function restoreFile(
  place: SimplePlace,
  entry: SimpleEntry,
  content: Uint8Array,
  rules: SimpleRules,
): Replacement | undefined {
  const { directory, isNew } = place;
  const { initialPermissions, mayExist } = entry;
  if (mayExist && keepFile(place, entry, content, rules)) return undefined;
  let { name } = entry;
  let fd = isNew ? directory.createFileUnlessTaken(name, initialPermissions) : undefined;
  if (fd === undefined) {
    name = temporaryName(name);
    fd = directory.createFile(name, initialPermissions);
  }
  let isOpen = true;
  try {
    rules.tally.holeBytes += writeContent(fd, content, rules.punchHoles);
    settleFile(fd, entry);
    if (mayExist) {
      isOpen = false;
      return { directory, name: entry.name, temporary: name, fd };
    }
    if (name !== entry.name) directory.replace(name, entry.name, fd);
    return undefined;
  } catch (error) {
    dropTemporary(directory, name);
    throw error;
  } finally {
    if (isOpen) closeSync(fd);
  }
}

/** @returns false if a new file is needed */
function keepFile(
  place: SimplePlace,
  entry: SimpleEntry,
  content: Uint8Array,
  { replay, tally }: SimpleRules,
): boolean {
  const old = openOldFile(place, entry.name, content.length);
  if (old === undefined) return false;
  try {
    if (!hasContent(old.fd, content)) return false;
    const isKept = keepOrChange(
      { ...old, onFat: false },
      wantedOfSimple(entry.type, entry),
      place,
      replay,
    );
    if (isKept) tally.keptBytes += content.length;
    return isKept;
  } finally {
    closeEntry(old.fd);
  }
}

/** @returns how many zero bytes were left out */
function writeContent(fd: number, content: Uint8Array, punchHoles: boolean): number {
  const { length } = content;
  if (!punchHoles) {
    writeSpan(fd, content, 0, length);
    return 0;
  }
  let dataEnd = 0;
  let holeBytes = length;
  for (const { start, end } of dataSpans(content, 0)) {
    writeSpan(fd, content, start, end);
    dataEnd = end;
    holeBytes -= end - start;
  }
  if (dataEnd < length) run('set length', () => ftruncateSync(fd, length));
  return holeBytes;
}

function writeSpan(fd: number, bytes: Uint8Array, start: number, end: number): void {
  try {
    writeFullySync(fd, bytes.subarray(start, end), start);
  } catch (error) {
    throw systemFailure('write', error);
  }
}

function settleFile(fd: number, entry: SimpleEntry): void {
  const { owner, permissions, time, initialPermissions } = entry;
  if (owner !== undefined && !isOurs(owner)) chown(fd, owner);
  if (permissions !== undefined && permissions !== initialPermissions) chmod(fd, permissions);
  if (time !== undefined) setModificationTime(fd, time);
  let now = statDescriptor(fd);
  if (!hasOwner(now, owner) || !hasPermissions(now, permissions)) {
    now = correct(fd, entry, now);
  }
  checkKept(now, entry);
}

/** The file has got a group from its directory, or the umask has taken permissions away. */
function correct(fd: number, { owner, permissions }: Attributes, now: FileStat): FileStat {
  if (owner !== undefined && !hasOwner(now, owner)) chown(fd, owner);
  if (permissions !== undefined) chmod(fd, permissions);
  return statDescriptor(fd);
}

function chown(fd: number, { uid, gid }: Owner): void {
  settingOwner(() => fchownSync(fd, uid, gid));
}

function chmod(fd: number, permissions: number): void {
  settingMode(() => fchmodSync(fd, permissions));
}

/** By name: nobody else can put anything in its place. */
function restoreSymlink(
  { directory, isNew }: SimplePlace,
  entry: SimpleEntry,
  target: Uint8Array,
): void {
  if (entry.mayExist && keepSymlink(directory, entry.name, target, entry)) return;
  const name = withFeature(FEATURE.symlinks, () => {
    if (isNew && directory.createSymlinkUnlessTaken(entry.name, target)) return entry.name;
    const temporary = temporaryName(entry.name);
    directory.createSymlink(temporary, target);
    return temporary;
  });
  try {
    settleSymlink(directory.fd, name, entry);
    if (name !== entry.name) directory.replace(name, entry.name);
  } catch (error) {
    dropTemporary(directory, name);
    throw error;
  }
}

function settleSymlink(directory: number, name: Uint8Array, entry: SimpleEntry): void {
  const { owner, time } = entry;
  if (owner !== undefined && !isOurs(owner)) setOwnerAt(directory, name, owner);
  if (time !== undefined) setModificationTimeAt(directory, name, time);
  let now = statEntry(directory, name);
  if (owner !== undefined && !hasOwner(now, owner)) {
    setOwnerAt(directory, name, owner);
    now = statEntry(directory, name);
  }
  checkKept(now, entry);
}
