/** Holes: ranges of a file that read as zeros and take no space. For `make`, extraction and overlays. */
import { constants } from 'node:os';
import { type Libc, lastErrno, libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

const KEEP_SIZE = 1;
const KEEP_SIZE_AND_PUNCH = 3;
const { errno } = constants;
const UNSUPPORTED = new Set<number>([errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP]);

/**
 * Turns a range into a hole and leaves the file size alone.
 * @returns false where that is not supported; write zeros then.
 * @throws PipelineError without subject
 */
export function punchHole(fd: number, offset: number, length: number): boolean {
  const fallocate = libc()?.fallocate;
  if (fallocate === undefined) return false;
  if (fallocate(fd, KEEP_SIZE_AND_PUNCH, offset, length) === 0) return true;
  const failure = lastErrno();
  if (UNSUPPORTED.has(failure)) return false;
  throw systemFailure('punch hole', failure);
}

/** As {@link punchHole}, without blocking anybody and without saying why it was not possible. */
export function releaseSpace(fd: number, offset: number, length: number): Promise<boolean> {
  return fallocateInBackground(fd, KEEP_SIZE_AND_PUNCH, offset, length);
}

/**
 * Makes room on the disk for all of a range; holes in it are zeros as before.
 * @returns false where that is not supported; write zeros then.
 * @throws PipelineError without subject
 */
export async function reserveSpace(fd: number, offset: number, length: number): Promise<boolean> {
  if (await fallocateInBackground(fd, KEEP_SIZE, offset, length)) return true;
  const fallocate = libc()?.fallocate;
  // Once more, for the reason.
  if (fallocate === undefined || fallocate(fd, KEEP_SIZE, offset, length) === 0) {
    return fallocate !== undefined;
  }
  const failure = lastErrno();
  if (UNSUPPORTED.has(failure)) return false;
  throw systemFailure('allocate', failure);
}

/** On a thread of koffi, where the error number is lost. */
async function fallocateInBackground(
  ...parameters: Parameters<NonNullable<Libc['fallocate']>>
): Promise<boolean> {
  const fallocate = libc()?.fallocate;
  if (fallocate === undefined) return false;
  const { async: start } = fallocate as unknown as {
    readonly async: (...all: readonly unknown[]) => void;
  };
  return new Promise((resolve) => {
    start(...parameters, (error: Error | null, result: number) => {
      resolve(error === null && result === 0);
    });
  });
}

const SEEK_DATA = 3;

/**
 * Offset of the first byte at or behind `offset` that is not in a hole; `offset` itself where the
 * system cannot tell. Moves the position of the descriptor.
 * @returns undefined if only a hole follows
 */
export function nextData(fd: number, offset: number): number | undefined {
  const lseek = libc()?.lseek;
  if (lseek === undefined) return offset;
  const found = lseek(fd, offset, SEEK_DATA);
  if (found >= 0) return Math.max(found, offset);
  return lastErrno() === errno.ENXIO ? undefined : offset;
}

const SEEK_HOLE = 4;

/**
 * Offset of the first byte at or behind `offset` that is in a hole, or of the end of the file, which
 * is taken for one; undefined where the system cannot tell. Moves the position of the descriptor.
 */
export function nextHole(fd: number, offset: number): number | undefined {
  const lseek = libc()?.lseek;
  if (lseek === undefined) return undefined;
  const found = lseek(fd, offset, SEEK_HOLE);
  return found >= 0 ? Math.max(found, offset) : undefined;
}
