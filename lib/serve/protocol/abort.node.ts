/**
 * How a side of the casync protocol tells the other that it gives up: with an error number, of which the
 * original prints what the C library says. Used by the servers of the protocol.
 */
import { constants } from 'node:os';
import { isCasError } from '../../../formats/errors.ts';
import type { Message } from '../../../formats/remote-protocol.ts';
import type { MessageStream } from '../../../store/peer/message-stream.node.ts';
import { PipelineError } from '../../errors.ts';
import { errnoOf } from '../../os/system-error.node.ts';

type ErrorName = keyof typeof constants.errno;

const NAMES: Readonly<Record<string, ErrorName>> = {
  OBJECT_MISSING: 'ENOENT',
  INDEX_MISSING: 'ENOENT',
  CHUNK_MISSING: 'ENOENT',
  STORE_MISSING: 'ENOENT',
  CHUNK_DAMAGED: 'EBADMSG',
  FORMAT: 'EBADMSG',
  LIMIT_EXCEEDED: 'EFBIG',
  DENIED: 'EACCES',
  TARGET_FULL: 'ENOSPC',
  UNAVAILABLE: 'EHOSTUNREACH',
  UNSUPPORTED: 'EOPNOTSUPP',
  LEASE_HELD: 'EBUSY',
  LEASE_LOST: 'EBUSY',
  ABORTED: 'ECONNABORTED',
};

const GAVE_UP = 'gave up';

/** The error number of Linux that says best what has failed. */
export function errorNumberOf(error: unknown): number {
  const name = errnoOf(error);
  const known = name === undefined ? undefined : constants.errno[name as ErrorName];
  if (known !== undefined) return known;
  return constants.errno[(isCasError(error) ? NAMES[error.code] : undefined) ?? 'EIO'];
}

/** Ends the conversation with an abort, if the other side still listens. */
export async function tellOfFailure(
  stream: MessageStream,
  error: unknown,
  numberOf: (error: unknown) => number,
): Promise<void> {
  const isTheirs = isCasError(error) && error.step === GAVE_UP;
  if (stream.agreement === undefined || isTheirs) return;
  const reason = isCasError(error) ? error.message : 'internal error';
  try {
    await stream.send({ kind: 'abort', errorNumber: numberOf(error), reason });
    await stream.end();
  } catch (failure) {
    if (!isCasError(failure)) throw failure;
  }
}

type Abort = Extract<Message, { readonly kind: 'abort' }>;

/** The failure that the other side told of. @param who it is */
export function abortedByPeer(who: string, { reason }: Abort): PipelineError {
  return new PipelineError('IO', { subject: who, step: GAVE_UP, reason });
}
