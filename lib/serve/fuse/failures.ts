/** Failures of a mounted file system as readers see them. Used by the FUSE server. */
import { isCasError } from '../../../formats/errors.ts';
import { Errno } from '../../../formats/fuse-protocol.ts';

/** What was stopped did not fail; what is not there is no news to who gave its number. */
export function isNoFailure(error: unknown): boolean {
  return isCasError(error) && (error.code === 'ABORTED' || error.code === 'NOT_IN_ARCHIVE');
}

/** The error number that a reader sees. */
export function errnoOfFailure(error: unknown): number {
  return isCasError(error) && error.code === 'NOT_IN_ARCHIVE' ? Errno.ENOENT : Errno.EIO;
}
