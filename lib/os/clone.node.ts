/** Ranges of files that share their blocks with another file (reflinks). Used by extraction and `clone`. */
import { constants } from 'node:os';
import { lastErrno, libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

/** FICLONERANGE of linux/fs.h. */
const CLONE_RANGE = 0x4020940d;
/** struct file_clone_range: source, its offset, length, offset in the destination. */
const ARGUMENT_LENGTH = 32;

const { errno } = constants;
/** Other file systems, files of other kinds, offsets that are not aligned, flags that differ. */
const IMPOSSIBLE = new Set<number>([
  errno.EBADF,
  errno.EINVAL,
  errno.ENOSYS,
  errno.ENOTTY,
  errno.EOPNOTSUPP,
  errno.EPERM,
  errno.ETXTBSY,
  errno.EXDEV,
]);

export interface CloneRange {
  /** Offset in the source; a multiple of the block size of the file system. */
  readonly from: number;
  /** Offset in the destination; the same. */
  readonly to: number;
  /** Multiple of the block size, or up to the end of the source; 0 for all there is. */
  readonly length: number;
}

/**
 * Makes a range of `destination` share the blocks of `source`, at once or not at all; what the source
 * becomes later does not matter.
 * @param source descriptor open for reading. @param destination descriptor open for writing
 * @returns false where that is not possible; copy then.
 * @throws PipelineError without subject, for example if the disk is full
 */
export function cloneRange(source: number, destination: number, range: CloneRange): boolean {
  const c = libc();
  if (c === undefined) return false;
  const argument = new Uint8Array(ARGUMENT_LENGTH);
  const fields = new BigUint64Array(argument.buffer);
  fields.set([source, range.from, range.length, range.to].map(BigInt));
  if (c.ioctl(destination, CLONE_RANGE, 'void *', argument) === 0) return true;
  const failure = lastErrno();
  if (IMPOSSIBLE.has(failure)) return false;
  throw systemFailure('clone', failure);
}
