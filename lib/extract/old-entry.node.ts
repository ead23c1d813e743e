/**
 * What has the name of an entry already: it stays as it is if it is what the archive says, or is
 * changed in those attributes that differ, where that is safe; anything else is replaced as a whole
 * (spec/formats/extraction.md, "Over an older version"). Used by tree extraction.
 */
import { equalBytes } from '../../formats/bytes.ts';
import type { CatarNode } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { isCasError } from '../../formats/errors.ts';
import { changeOwnerAt } from '../os/at.node.ts';
import { type FileStat, statDescriptor, statEntry } from '../os/file-stat.node.ts';
import { closeEntry, readLinkEntry } from '../os/open.node.ts';
import { readFully } from '../os/read.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { setModificationTimeAt } from '../os/times.node.ts';
import { applyDifferences } from './apply-differences.node.ts';
import { type Attributes, checkKept, hasOwner, hasTime, settingOwner } from './attributes.node.ts';
import type { ConfinedDir } from './confined-dir.node.ts';
import { canBeChanged, differencesOf, type HeldObject } from './differences.node.ts';
import type { Owner } from './owner.node.ts';
import type { ReplaySet } from './replay-set.ts';
import type { Wanted } from './wanted.node.ts';

/** Where an older entry is. */
export interface OldPlace {
  readonly directory: ConfinedDir;
  /** Nobody else can put anything in the place of the entry. */
  readonly isPrivate: boolean;
}

/** An older file that is open for reading; closed by `closeEntry`. */
export interface OldFile {
  readonly fd: number;
  readonly stat: FileStat;
}

/**
 * Opens the file that has a name. Nothing but a file is opened, so that no device or fifo notices.
 * @param size bytes that it must have, if that matters.
 * @returns undefined if something else has the name, or the file cannot be read
 */
export function openOldFile(
  { directory, isPrivate }: OldPlace,
  name: Uint8Array,
  size?: number,
): OldFile | undefined {
  const fits = ({ mode, size: oldSize }: FileStat) =>
    nodeTypeOfMode(mode) === 'file' && (size === undefined || oldSize === size);
  const before = directory.look(name);
  if (before === undefined || !fits(before)) return undefined;
  const fd = directory.openForReading(name);
  if (fd === undefined) return undefined;
  if (isPrivate) return { fd, stat: before };
  try {
    const stat = statDescriptor(fd);
    if (fits(stat)) return { fd, stat };
  } catch (error) {
    closeEntry(fd);
    throw error;
  }
  closeEntry(fd);
  return undefined;
}

/**
 * Makes an object whose content is right what it shall be, with as few changes as possible.
 * @returns false if a new one has to take its place
 * @throws PipelineError without subject
 */
export function keepOrChange(
  object: HeldObject,
  wanted: Wanted,
  { isPrivate }: OldPlace,
  replay: ReplaySet,
): boolean {
  if (differencesOf(object, wanted, replay) === 0) return true;
  // Elsewhere others could take the object away, so that something outside would be changed.
  if (!isPrivate) return false;
  // What was looked at by its name may not be what was opened.
  const held = { ...object, stat: statDescriptor(object.fd) };
  if (nodeTypeOfMode(held.stat.mode) !== wanted.type) return false;
  const differences = differencesOf(held, wanted, replay);
  if (!canBeChanged(held, wanted, differences)) return false;
  applyDifferences(held, wanted, differences, replay);
  return true;
}

let memory: Buffer | undefined;

/** Whether a file begins with `content`. @throws PipelineError without subject */
export function hasContent(fd: number, content: Uint8Array): boolean {
  if (content.length === 0) return true;
  if (memory === undefined || memory.length < content.length) {
    memory = Buffer.allocUnsafeSlow(Math.max(content.length, LEAST_MEMORY));
  }
  const count = readOld(fd, memory, content.length, 0);
  if (count < content.length) return false;
  const old = memory.subarray(0, count);
  return old.equals(Buffer.from(content.buffer, content.byteOffset, content.length));
}

const LEAST_MEMORY = 128 * 1024;

/** @returns bytes read: fewer than `length` only at the end of the file */
export function readOld(fd: number, into: Buffer, length: number, offset: number): number {
  try {
    return readFully(fd, into.subarray(0, length), offset);
  } catch (error) {
    throw systemFailure('read', error);
  }
}

/**
 * The same as {@link keepOrChange} for a symbolic link with an owner and a time only, by its name.
 * @param directory in which nobody else can put anything in its place.
 */
export function keepSymlink(
  directory: ConfinedDir,
  name: Uint8Array,
  target: Uint8Array,
  wanted: Attributes,
): boolean {
  const old = directory.look(name);
  if (old === undefined || nodeTypeOfMode(old.mode) !== 'symlink') return false;
  if (!leadsTo(directory, name, target)) return false;
  const { owner, time } = wanted;
  const hasOurOwner = hasOwner(old, owner);
  const hasOurTime = time === undefined || hasTime(old, time);
  if (hasOurOwner && hasOurTime) return true;
  if (old.linkCount !== 1) return false;
  if (owner !== undefined && !hasOurOwner) setOwnerAt(directory.fd, name, owner);
  if (time !== undefined && !hasOurTime) setModificationTimeAt(directory.fd, name, time);
  checkKept(statEntry(directory.fd, name), wanted);
  return true;
}

/** Sets the owner of an entry by its name. @throws PipelineError without subject */
export function setOwnerAt(directory: number, name: Uint8Array, { uid, gid }: Owner): void {
  const outcome = changeOwnerAt(directory, name, uid, gid);
  if (outcome >= 0) return;
  settingOwner(() => {
    throw systemFailure('set owner', -outcome);
  });
}

/**
 * The same as {@link keepOrChange} for devices, fifos, sockets, and links that are not simple.
 * @returns false also if something else has the name
 */
export function keepOther(
  place: OldPlace,
  name: Uint8Array,
  node: CatarNode,
  wanted: Wanted,
  replay: ReplaySet,
): boolean {
  const { directory } = place;
  const before = directory.look(name);
  if (before === undefined || nodeTypeOfMode(before.mode) !== node.type) return false;
  const fd = directory.openForAttributes(name);
  try {
    const stat = statDescriptor(fd);
    if (nodeTypeOfMode(stat.mode) !== node.type || !isSameObject(place, name, node, stat)) {
      return false;
    }
    return keepOrChange({ fd, stat, onFat: false }, wanted, place, replay);
  } finally {
    closeEntry(fd);
  }
}

function isSameObject(
  { directory }: OldPlace,
  name: Uint8Array,
  { type, device, linkTarget }: CatarNode,
  stat: FileStat,
): boolean {
  if (type === 'symlink') return linkTarget !== undefined && leadsTo(directory, name, linkTarget);
  if (device === undefined) return true;
  return stat.rdevMajor === device.major && stat.rdevMinor === device.minor;
}

function leadsTo(directory: ConfinedDir, name: Uint8Array, target: Uint8Array): boolean {
  try {
    return equalBytes(readLinkEntry(directory.fd, name), target);
  } catch (error) {
    // Something else by now.
    if (isCasError(error)) return false;
    throw error;
  }
}
