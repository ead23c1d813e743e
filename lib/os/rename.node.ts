/** Swapping of two files, which node:fs lacks. Used by extraction to make results visible. */
import { constants } from 'node:os';
import { lastErrno, libc, terminated } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
const { errno } = constants;
const UNSUPPORTED = new Set<number>([errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP]);

/**
 * Swaps two existing files or directories in one step.
 * @returns false where kernel, file system or the lack of koffi does not allow it.
 * @throws PipelineError without subject
 */
export function exchange(first: Uint8Array, second: Uint8Array): boolean {
  const failure = swap(first, second);
  if (failure === 0) return true;
  if (UNSUPPORTED.has(failure)) return false;
  throw systemFailure('exchange', failure);
}

/** 0 or an error number. */
function swap(first: Uint8Array, second: Uint8Array): number {
  const renameat2 = libc()?.renameat2;
  if (renameat2 === undefined) return errno.ENOSYS;
  const [one, other] = [terminated(first, 0), terminated(second, 1)];
  return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) < 0 ? lastErrno() : 0;
}
