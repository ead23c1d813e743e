/**
 * One entry of a held directory, brought to a state in which attributes and content belong to the
 * same file whatever other programs rename meanwhile. Used by the folder walk.
 */
import { closeSync, readlinkSync } from 'node:fs';
import type { NodeType } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { PipelineError } from '../errors.ts';
import { type FileStat, statDescriptor, statEntry } from '../os/file-stat.node.ts';
import { openEntry } from '../os/open.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import { entryPath } from '../os/target.node.ts';

/** An entry whose attributes are known. Files and directories are open; the holder closes `fd`. */
export interface HeldEntry {
  readonly name: Uint8Array;
  readonly type: NodeType;
  readonly stat: FileStat;
  /** Present on files and directories. */
  readonly fd?: number;
  /** Present on everything else. */
  readonly path?: Uint8Array;
  /** Present on symbolic links. */
  readonly linkTarget?: Uint8Array;
}

/** Why there is no entry to hold, although the directory listed one. */
export type Loss = 'left out' | 'vanished' | 'replaced again and again';

const MOST_ATTEMPTS = 8;
const SUPERUSER = 0;
/** What opening says if the entry has become something else since its attributes were read. */
const REPLACED: ReadonlySet<string | undefined> = new Set(['ELOOP', 'ENXIO', 'EINVAL']);
const effectiveUser = process.geteuid?.() ?? SUPERUSER;

/**
 * Reads the attributes of an entry and opens it if it is a file or a directory. If another file takes
 * the name between the two, the newer one is taken.
 * @param directory descriptor of the directory.
 * @param isWanted decides before anything is opened.
 * @throws PipelineError without subject if the entry cannot be read
 */
export function holdEntry(
  directory: number,
  name: Uint8Array,
  isWanted: (type: NodeType) => boolean,
): HeldEntry | Loss {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const listed = unlessGone(() => statEntry(directory, name));
    if (listed === undefined) return 'vanished';
    const type = nodeTypeOfMode(listed.mode);
    if (type === undefined) {
      throw new PipelineError('UNSUPPORTED', { step: 'read', reason: 'unknown type of file' });
    }
    if (!isWanted(type)) return 'left out';
    const held = hold(directory, name, type, listed);
    if (held !== undefined) return held;
  }
  return 'replaced again and again';
}

/** Undefined if the entry is no longer what was listed. */
function hold(
  directory: number,
  name: Uint8Array,
  type: NodeType,
  listed: FileStat,
): HeldEntry | undefined {
  if (type === 'file' || type === 'directory') return holdOpen(directory, name, type, listed);
  const path = entryPath(directory, name);
  if (type !== 'symlink') return { name, type, stat: listed, path };
  const linkTarget = unlessGone(() => readLink(path));
  const stat = unlessGone(() => statEntry(directory, name));
  if (linkTarget === undefined || stat === undefined || !isSame(stat, listed)) return undefined;
  return { name, type, stat, path, linkTarget };
}

function holdOpen(
  directory: number,
  name: Uint8Array,
  type: NodeType,
  listed: FileStat,
): HeldEntry | undefined {
  const keepAccessTime = effectiveUser === SUPERUSER || effectiveUser === listed.uid;
  const fd = unlessGone(() => openEntry(directory, name, keepAccessTime));
  if (fd === undefined) return undefined;
  try {
    const stat = statDescriptor(fd);
    if (isSame(stat, listed)) return { name, type, stat, fd };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return undefined;
}

function isSame(a: FileStat, b: FileStat): boolean {
  return (
    a.inode === b.inode &&
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

function readLink(path: Buffer): Uint8Array {
  try {
    return readlinkSync(path, { encoding: 'buffer' });
  } catch (error) {
    throw systemFailure('read link', error);
  }
}
