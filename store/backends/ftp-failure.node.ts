/** The one translation of what an FTP server answers, or does not, into errors of ours. */
import { type CasError, isCasError } from '../../formats/errors.ts';
import { StorageError, type StorageErrorCode } from '../errors.ts';
import { storageErrorCodeOf, systemErrorCode, systemErrorText } from '../system-error.node.ts';

const CODES: { readonly [reply: number]: StorageErrorCode } = {
  421: 'UNAVAILABLE',
  425: 'UNAVAILABLE',
  426: 'UNAVAILABLE',
  450: 'UNAVAILABLE',
  451: 'UNAVAILABLE',
  452: 'TARGET_FULL',
  530: 'DENIED',
  532: 'DENIED',
  534: 'DENIED',
  550: 'DENIED',
  552: 'TARGET_FULL',
  553: 'DENIED',
};

/** How vsftpd says that it cannot go on: with the number of an unknown command. */
const OUTAGE = /^500 OOPS:/;

/** Number of the server's answer, if it was one that says no. */
export function replyCode(error: unknown): number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

/** Whether a 550 says that there is something, but not for us. */
export function saysDenied(error: unknown): boolean {
  return error instanceof Error && /denied|permission|not permitted|access/i.test(error.message);
}

/**
 * The error to throw for a failed transfer or command; one of ours is returned as it is.
 * @param subject the file concerned, as shown to the user
 * @throws the error itself if it is a programming mistake
 */
export function toFtpError(error: unknown, subject: string, step: string): CasError {
  if (isCasError(error)) return error;
  if (!(error instanceof Error) || error instanceof TypeError) throw error;
  const reply = replyCode(error);
  const isLoss = reply === undefined || (reply === 500 && OUTAGE.test(error.message));
  const code = isLoss ? codeOfLoss(error) : (CODES[reply] ?? 'IO');
  return new StorageError(code, {
    subject,
    step,
    reason: oneLine(systemErrorText(error)),
    retry: code === 'UNAVAILABLE' ? 'later' : 'never',
    cause: error,
  });
}

/** What is no answer is a lost connection, unless nobody could have been reached that way. */
function codeOfLoss(error: Error): StorageErrorCode {
  const { code } = error as { readonly code?: unknown };
  if (typeof code === 'string' && /CERT|SSL|TLS|ALTNAME/.test(code)) return 'DENIED';
  const system = systemErrorCode(error);
  return system === undefined || storageErrorCodeOf(system) === 'IO'
    ? 'UNAVAILABLE'
    : storageErrorCodeOf(system);
}

function oneLine(text: string): string {
  return text
    .replace(/[^\x20-\x7e\u00a0-\uffff]+/g, ' ')
    .trim()
    .slice(0, 300);
}
