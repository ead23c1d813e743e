/**
 * Holes: ranges of a file that read as zeros and take no space. Used by extraction. The functions
 * move the file position of the descriptor; read and write with explicit positions beside them.
 */
import { fstatSync } from 'node:fs';
import { constants } from 'node:os';
import { lastErrno, libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const KEEP_SIZE_AND_PUNCH = 3;
const { errno } = constants;
const UNSUPPORTED = new Set<number>([errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP]);

/**
 * First offset at or behind `offset` that holds data, or undefined if only a hole follows. Where
 * holes are not known every byte before the end counts as data. @throws PipelineError
 */
export function nextDataOffset(fd: number, offset: number): number | undefined {
  return seek(fd, offset, SEEK_DATA, (size) => (offset < size ? offset : undefined));
}

/**
 * First offset at or behind `offset` where a hole begins; the end of the file counts as one.
 * Undefined if `offset` is behind the end. @throws PipelineError
 */
export function nextHoleOffset(fd: number, offset: number): number | undefined {
  return seek(fd, offset, SEEK_HOLE, (size) => (offset < size ? size : undefined));
}

/**
 * Turns a range into a hole and leaves the file size alone.
 * @returns false where that is not supported; write zeros then.
 * @throws PipelineError without subject
 */
export function punchHole(fd: number, offset: number, length: number): boolean {
  const c = libc();
  if (c === undefined) return false;
  if (c.fallocate(fd, KEEP_SIZE_AND_PUNCH, offset, length) === 0) return true;
  const failure = lastErrno();
  if (UNSUPPORTED.has(failure)) return false;
  throw systemFailure('punch hole', failure);
}

function seek(
  fd: number,
  offset: number,
  whence: number,
  assume: (size: number) => number | undefined,
): number | undefined {
  const c = libc();
  const found = c === undefined ? -1 : Number(c.lseek(fd, offset, whence));
  if (found >= 0) return found;
  const failure = c === undefined ? errno.ENOSYS : lastErrno();
  if (failure === errno.ENXIO) return undefined;
  if (!UNSUPPORTED.has(failure)) throw systemFailure('look for holes', failure);
  try {
    return assume(fstatSync(fd).size);
  } catch (error) {
    throw systemFailure('look for holes', error);
  }
}
