/**
 * The calls that a local store makes for every chunk, directly to the C library: no objects, no
 * exceptions for what is an answer, and a rename that replaces nothing in one call.
 */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { type FileCalls, NODE_FILE_CALLS } from '../../store/backends/file-calls.node.ts';
import { type Libc, lastErrno, libc } from './libc.node.ts';

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_TYPE = 1;
const STATX_SIZE = 0x200;
const MODE_OFFSET = 28;
const SIZE_OFFSET = 40;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;
const FOLDER_MODE = 0o777;
const RENAME_NOREPLACE = 1;
const { EEXIST, EINVAL, ENAMETOOLONG, ENOENT, ENOSYS } = constants.errno;
const TWO_POW_32 = 2 ** 32;

const attributes = new DataView(new ArrayBuffer(256));
const memory = new Uint8Array(attributes.buffer);
const EMPTY = Uint8Array.of(0);

/** What the kernel takes, with the NUL at the end. */
const LONGEST_PATH = 4096;
const LONGEST_CHARACTER = 3;
const PATH_ROOM = LONGEST_CHARACTER * LONGEST_PATH;
const paths = [Buffer.alloc(PATH_ROOM), Buffer.alloc(PATH_ROOM)] as const;

/** The calls, or undefined where koffi or a function of the C library is missing. */
export function createFileCalls(): FileCalls | undefined {
  const library = libc();
  const statx = library?.statx;
  const renameat2 = library?.renameat2;
  if (library === undefined || statx === undefined || renameat2 === undefined) return undefined;
  return bind(library, statx, renameat2);
}

function bind(
  { mkdirat }: Libc,
  statx: NonNullable<Libc['statx']>,
  renameat2: NonNullable<Libc['renameat2']>,
): FileCalls {
  return {
    kindAt(path) {
      const flags = AT_SYMLINK_NOFOLLOW;
      if (statx(AT_FDCWD, terminated(path), flags, STATX_TYPE, memory) < 0) {
        const errno = lastErrno();
        if (errno === ENOENT) return undefined;
        if (errno === ENOSYS) return NODE_FILE_CALLS.kindAt(path);
        throw systemError(errno);
      }
      const type = attributes.getUint16(MODE_OFFSET, true) & S_IFMT;
      if (type === S_IFREG) return 'file';
      return type === S_IFLNK ? 'link' : 'other';
    },

    fileSize(descriptor) {
      if (statx(descriptor, EMPTY, AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, memory) < 0) {
        return NODE_FILE_CALLS.fileSize(descriptor);
      }
      const type = attributes.getUint16(MODE_OFFSET, true) & S_IFMT;
      if (type !== S_IFREG) return undefined;
      const high = attributes.getUint32(SIZE_OFFSET + 4, true);
      return high * TWO_POW_32 + attributes.getUint32(SIZE_OFFSET, true);
    },

    createFolder(path) {
      if (mkdirat(AT_FDCWD, terminated(path), FOLDER_MODE) === 0) return true;
      const errno = lastErrno();
      if (errno === EEXIST) return false;
      throw systemError(errno);
    },

    renameNew(from, to) {
      const [source, target] = [terminated(from, 0), terminated(to, 1)];
      if (renameat2(AT_FDCWD, source, AT_FDCWD, target, RENAME_NOREPLACE) === 0) return true;
      const errno = lastErrno();
      if (errno === EEXIST) return false;
      // Not every file system can be asked not to replace.
      if (errno === EINVAL || errno === ENOSYS) return NODE_FILE_CALLS.renameNew(from, to);
      throw systemError(errno);
    },
  };
}

/** `path` followed by a NUL, in memory that is reused by the next call with the same `slot`. */
function terminated(path: string, slot: 0 | 1 = 0): Buffer {
  if (path.length >= LONGEST_PATH) throw systemError(ENAMETOOLONG);
  if (path.includes('\0')) throw systemError(EINVAL);
  const text = paths[slot];
  text[text.write(path)] = 0;
  return text;
}

function systemError(errno: number): Error {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(code), { code });
}
