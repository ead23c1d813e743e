/**
 * One entry of a held directory, brought to a state in which attributes and content belong to the
 * same file whatever other programs rename meanwhile. Used by the folder walk.
 */
import type { NodeType } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { PipelineError } from '../errors.ts';
import { type FileStat, statDescriptor, statEntry } from '../os/file-stat.node.ts';
import { closeEntry, openEntry, readLinkEntry } from '../os/open.node.ts';
import { errnoOf } from '../os/system-error.node.ts';
import { entryPath } from '../os/target.node.ts';

/** An entry whose attributes are known. Files and directories are open; the holder closes `fd`. */
export interface HeldEntry {
  readonly name: Uint8Array;
  readonly type: NodeType;
  readonly stat: FileStat;
  /** Present on files and directories; for `closeEntry`. */
  readonly fd: number | undefined;
  /** Present on everything else. */
  readonly path: Uint8Array | undefined;
  /** Present on symbolic links. */
  readonly linkTarget: Uint8Array | undefined;
}

/** Why there is no entry to hold, although the directory listed one. */
export type Loss = 'left out' | 'vanished' | 'replaced again and again';

const MOST_ATTEMPTS = 8;
/** What opening says if the entry has become something else since its attributes were read. */
const REPLACED: ReadonlySet<string | undefined> = new Set(['ELOOP', 'ENXIO', 'EINVAL']);

/**
 * Reads the attributes of an entry and opens it if it is a file or a directory. If another file takes
 * the name between the two, the newer one is taken.
 * @param directory descriptor of the directory.
 * @param isWanted decides before anything is opened.
 * @param listed what the directory said the entry is, if it said so: saves reading attributes twice.
 * @throws PipelineError without subject if the entry cannot be read
 */
export function holdEntry(
  directory: number,
  name: Uint8Array,
  isWanted: (type: NodeType) => boolean,
  listed?: NodeType,
): HeldEntry | Loss {
  if (listed === 'file' || listed === 'directory') {
    if (!isWanted(listed)) return 'left out';
    const held = holdListed(directory, name, listed);
    if (held !== undefined) return held;
  }
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const stat = unlessGone(() => statEntry(directory, name));
    if (stat === undefined) return 'vanished';
    const type = nodeTypeOfMode(stat.mode);
    if (type === undefined) {
      throw new PipelineError('UNSUPPORTED', { step: 'read', reason: 'unknown type of file' });
    }
    if (!isWanted(type)) return 'left out';
    const held = hold(directory, name, type, stat);
    if (held !== undefined) return held;
  }
  return 'replaced again and again';
}

/** Undefined if the entry cannot be opened or is something else: a closer look tells more. */
function holdListed(directory: number, name: Uint8Array, type: NodeType): HeldEntry | undefined {
  try {
    return holdOpen(directory, name, type, undefined);
  } catch (error) {
    if (error instanceof PipelineError) return undefined;
    throw error;
  }
}

/** Undefined if the entry is no longer what it was. */
function hold(
  directory: number,
  name: Uint8Array,
  type: NodeType,
  before: FileStat,
): HeldEntry | undefined {
  if (type === 'file' || type === 'directory') {
    return unlessGone(() => holdOpen(directory, name, type, before));
  }
  const path = entryPath(directory, name);
  if (type !== 'symlink') {
    return { name, type, stat: before, fd: undefined, path, linkTarget: undefined };
  }
  const linkTarget = unlessGone(() => readLinkEntry(directory, name));
  const stat = unlessGone(() => statEntry(directory, name));
  if (linkTarget === undefined || stat === undefined || !isSame(stat, before)) return undefined;
  return { name, type, stat, fd: undefined, path, linkTarget };
}

/** @param before attributes that the opened file must have, if any are known */
function holdOpen(
  directory: number,
  name: Uint8Array,
  type: NodeType,
  before: FileStat | undefined,
): HeldEntry | undefined {
  const fd = openEntry(directory, name);
  try {
    const stat = statDescriptor(fd);
    if (before === undefined ? nodeTypeOfMode(stat.mode) === type : isSame(stat, before)) {
      return { name, type, stat, fd, path: undefined, linkTarget: undefined };
    }
  } catch (error) {
    closeEntry(fd);
    throw error;
  }
  closeEntry(fd);
  return undefined;
}

function isSame(a: FileStat, b: FileStat): boolean {
  return (
    a.inodeLow === b.inodeLow &&
    a.inodeHigh === b.inodeHigh &&
    a.device === b.device &&
    nodeTypeOfMode(a.mode) === nodeTypeOfMode(b.mode)
  );
}

function unlessGone<Value>(act: () => Value): Value | undefined {
  try {
    return act();
  } catch (error) {
    const name = errnoOf(error);
    if (name === 'ENOENT' || REPLACED.has(name)) return undefined;
    throw error;
  }
}
