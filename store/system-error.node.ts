/**
 * The one translation of Node's system errors into errors of ours, with the texts of the C library.
 * Used by all storage on this machine, and by lib and cli for their own system calls.
 */
import { type CasError, isCasError } from '../formats/errors.ts';
import { StorageError, type StorageErrorCode } from './errors.ts';

const TEXTS: { readonly [code: string]: string } = {
  E2BIG: 'Argument list too long',
  EACCES: 'Permission denied',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EAGAIN: 'Resource temporarily unavailable',
  EBADF: 'Bad file descriptor',
  EBADMSG: 'Bad message',
  EBUSY: 'Device or resource busy',
  ECANCELED: 'Operation canceled',
  ECONNABORTED: 'Software caused connection abort',
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  EDQUOT: 'Disk quota exceeded',
  EEXIST: 'File exists',
  EFBIG: 'File too large',
  EHOSTUNREACH: 'No route to host',
  EINTR: 'Interrupted system call',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  EMFILE: 'Too many open files',
  EMLINK: 'Too many links',
  ENAMETOOLONG: 'File name too long',
  ENETUNREACH: 'Network is unreachable',
  ENFILE: 'Too many open files in system',
  ENODATA: 'No data available',
  ENODEV: 'No such device',
  ENOENT: 'No such file or directory',
  ENOEXEC: 'Exec format error',
  ENOMEDIUM: 'No medium found',
  ENOMEM: 'Cannot allocate memory',
  ENOSPC: 'No space left on device',
  ENOSYS: 'Function not implemented',
  ENOTCONN: 'Transport endpoint is not connected',
  ENOTDIR: 'Not a directory',
  ENOTEMPTY: 'Directory not empty',
  ENOTSUP: 'Operation not supported',
  ENOTTY: 'Inappropriate ioctl for device',
  ENXIO: 'No such device or address',
  EOPNOTSUPP: 'Operation not supported',
  EOVERFLOW: 'Value too large for defined data type',
  EPERM: 'Operation not permitted',
  EPIPE: 'Broken pipe',
  ERANGE: 'Numerical result out of range',
  EROFS: 'Read-only file system',
  ESPIPE: 'Illegal seek',
  ESRCH: 'No such process',
  ESTALE: 'Stale file handle',
  ETIMEDOUT: 'Connection timed out',
  ETXTBSY: 'Text file busy',
  EXDEV: 'Invalid cross-device link',
};

const CODES: { readonly [code: string]: StorageErrorCode } = {
  EACCES: 'DENIED',
  EPERM: 'DENIED',
  EROFS: 'DENIED',
  ENOSPC: 'TARGET_FULL',
  EDQUOT: 'TARGET_FULL',
  ECONNABORTED: 'UNAVAILABLE',
  ECONNREFUSED: 'UNAVAILABLE',
  ECONNRESET: 'UNAVAILABLE',
  EHOSTUNREACH: 'UNAVAILABLE',
  ENETUNREACH: 'UNAVAILABLE',
  ENOTCONN: 'UNAVAILABLE',
  ESTALE: 'UNAVAILABLE',
  ETIMEDOUT: 'UNAVAILABLE',
};

/** What kind of failure an error number is. @param code its name, for example `ENOENT` */
export function storageErrorCodeOf(code: string): StorageErrorCode {
  return CODES[code] ?? 'IO';
}

/** Name of the failed call's error number, for example `ENOENT`; undefined for anything else. */
export function systemErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  const { code } = error;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** What the C library says about the error; the error's own message where that is unknown. */
export function systemErrorText(error: unknown): string {
  if (isCasError(error)) return error.reason;
  const code = systemErrorCode(error);
  const text = code && TEXTS[code];
  if (text) return text;
  return error instanceof Error ? error.message : (code ?? String(error));
}

/**
 * The error to throw for a failed system call; an error of ours is returned as it is.
 * @param subject the file concerned, as shown to the user
 * @param step what was attempted, for example `write`
 * @throws the error itself if it is neither: then it is a programming mistake
 */
export function toStorageError(error: unknown, subject: string, step: string): CasError {
  if (isCasError(error)) return error;
  const code = systemErrorCode(error);
  if (code === undefined) throw error;
  const storageCode = storageErrorCodeOf(code);
  return new StorageError(storageCode, {
    subject,
    step,
    reason: systemErrorText(error),
    retry: storageCode === 'UNAVAILABLE' ? 'later' : 'never',
    cause: error,
  });
}
