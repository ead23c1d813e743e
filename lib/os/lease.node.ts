/** Whether somebody writes to a file just now. Used where a source is read that may be in use. */
import { constants } from 'node:os';
import { lastErrno, libc } from './libc.node.ts';

const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_UNLCK = 2;

/** Comes if somebody opens the file in the moment between two calls; its default ends the process. */
function ignored(): void {}

/**
 * Whether a regular file is open for writing somewhere on this machine.
 * @param fd open for reading only
 * @returns undefined where that cannot be known: for files of others, and without koffi
 */
export function isOpenForWriting(fd: number): boolean | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  process.on('SIGIO', ignored);
  try {
    // A lease for reading is given only where nobody writes.
    const isGiven = c.fcntl(fd, F_SETLEASE, 'int', F_RDLCK) === 0;
    if (isGiven) c.fcntl(fd, F_SETLEASE, 'int', F_UNLCK);
    if (isGiven) return false;
    return lastErrno() === constants.errno.EAGAIN ? true : undefined;
  } finally {
    setImmediate(() => process.off('SIGIO', ignored));
  }
}
