/** The two renames that node:fs lacks. Used by extraction to make results visible. */
import { constants } from 'node:os';
import { lastErrno, libc, terminated } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;
const { errno } = constants;
const UNSUPPORTED = new Set<number>([errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP]);

/**
 * Swaps two existing files or directories in one step.
 * @returns false where kernel, file system or the lack of koffi does not allow it.
 * @throws PipelineError without subject
 */
export function exchange(first: Uint8Array, second: Uint8Array): boolean {
  const failure = rename(first, second, RENAME_EXCHANGE);
  if (failure === 0) return true;
  if (UNSUPPORTED.has(failure)) return false;
  throw systemFailure('exchange', failure);
}

/**
 * Renames only if nothing has the new name.
 * @throws PipelineError without subject
 */
export function renameNoReplace(
  from: Uint8Array,
  to: Uint8Array,
): 'renamed' | 'exists' | 'unsupported' {
  const failure = rename(from, to, RENAME_NOREPLACE);
  if (failure === 0) return 'renamed';
  if (failure === errno.EEXIST) return 'exists';
  if (UNSUPPORTED.has(failure)) return 'unsupported';
  throw systemFailure('rename', failure);
}

/** 0 or an error number. */
function rename(from: Uint8Array, to: Uint8Array, flags: number): number {
  const renameat2 = libc()?.renameat2;
  if (renameat2 === undefined) return errno.ENOSYS;
  const [source, target] = [terminated(from, 0), terminated(to, 1)];
  return renameat2(AT_FDCWD, source, AT_FDCWD, target, flags) < 0 ? lastErrno() : 0;
}
