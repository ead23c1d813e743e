/**
 * The one translation of failed system calls into errors of ours, for everything in lib that touches
 * the file system. Used with error numbers of the C library and with errors of node:fs alike.
 */
import { constants } from 'node:os';
import { isCasError } from '../../formats/errors.ts';
import { storageErrorCodeOf, systemErrorText } from '../../store/system-error.node.ts';
import { PipelineError, type PipelineErrorCode } from '../errors.ts';

const NAMES = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name] as const),
);
/** Two names for one number on Linux; this is the one we compare with. */
NAMES.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');
NAMES.set(constants.errno.EAGAIN, 'EAGAIN');

/** System calls that this machine or file system does not have. */
const UNSUPPORTED = new Set(['EOPNOTSUPP', 'ENOSYS']);

/**
 * The error for a failed system call.
 * @param step what was attempted, for example `read attributes`.
 * @param failure positive error number, name of one, or an error thrown by node:fs.
 * @param subject the file as shown to the user; left out where only the caller knows it (`about`).
 */
export function systemFailure(step: string, failure: unknown, subject?: string): PipelineError {
  const name = nameOf(failure);
  return new PipelineError(name === undefined ? 'IO' : codeOf(name), {
    step,
    reason: name === undefined ? String(failure) : systemErrorText({ code: name }),
    cause: typeof failure === 'object' ? failure : { code: name },
    ...(subject === undefined ? {} : { subject }),
  });
}

/** Name of the error number behind an error of node:fs or of ours, for example `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  if (isCasError(error)) return errnoOf(error.cause);
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  if (typeof error.code !== 'string') return undefined;
  return error.code === 'ENOTSUP' ? 'EOPNOTSUPP' : error.code;
}

function nameOf(failure: unknown): string | undefined {
  if (typeof failure === 'number') return NAMES.get(failure) ?? `error ${failure}`;
  if (typeof failure === 'string') return failure;
  return errnoOf(failure);
}

function codeOf(name: string): PipelineErrorCode {
  return UNSUPPORTED.has(name) ? 'UNSUPPORTED' : storageErrorCodeOf(name);
}
