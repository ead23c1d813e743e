/**
 * The system calls behind presence and naming of objects, which the local backend makes for every
 * chunk. Here with node:fs; lib/os/file-calls.node.ts has the same in fewer and cheaper calls.
 */
import * as fs from 'node:fs';
import { systemErrorCode } from '../system-error.node.ts';

/** Failures of all of these are system errors with a `code`, as node:fs throws them. */
export interface FileCalls {
  /** What the name is given to, links not followed; undefined if nothing has it. */
  kindAt(path: string): FileKind | undefined;
  /** Bytes of an open file; undefined if it is not a regular one. */
  fileSize(descriptor: number): number | undefined;
  /** @returns false if there is something of that name already */
  createFolder(path: string): boolean;
  /**
   * Moves a file to a name that nothing has.
   * @returns false if something has it; then nothing has changed
   */
  renameNew(from: string, to: string): boolean;
}

export type FileKind = 'file' | 'link' | 'other';

/** What file systems without hard links answer. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV']);

/** What works everywhere. */
export const NODE_FILE_CALLS: FileCalls = {
  kindAt(path) {
    const stats = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (stats.isFile()) return 'file';
    return stats.isSymbolicLink() ? 'link' : 'other';
  },

  fileSize(descriptor) {
    const stats = fs.fstatSync(descriptor);
    return stats.isFile() ? stats.size : undefined;
  },

  createFolder(path) {
    try {
      fs.mkdirSync(path);
      return true;
    } catch (error) {
      if (systemErrorCode(error) === 'EEXIST') return false;
      throw error;
    }
  },

  renameNew(from, to) {
    try {
      fs.linkSync(from, to);
    } catch (error) {
      const code = systemErrorCode(error) ?? '';
      if (code !== 'EEXIST' && !NO_LINKS.has(code)) throw error;
      if (fs.lstatSync(to, { throwIfNoEntry: false })) return false;
      fs.renameSync(from, to);
      return true;
    }
    fs.unlinkSync(from);
    return true;
  },
};
