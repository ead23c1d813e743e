/** What pipelines can say, on top of the errors of formats and store. */
import { CasError, type ErrorParts } from '../formats/errors.ts';
import type { StorageErrorCode } from '../store/errors.ts';

export type PipelineErrorCode =
  /** Failed system calls. */
  | StorageErrorCode
  /** Done, but some input could not be read or changed while it was read. */
  | 'SOURCE_INCOMPLETE'
  /** The input changed so that no true archive of it can be written. */
  | 'SOURCE_CHANGED'
  | 'NOT_IN_ARCHIVE'
  | 'VERIFY_FAILED'
  | 'UNSAFE_NAME'
  | 'UNSAFE_TARGET'
  | 'INDEX_MISSING'
  | 'STORE_MISSING'
  /** Somebody else works in the store, or has taken it over. */
  | 'LEASE_HELD'
  | 'LEASE_LOST'
  /** The platform or an absent optional part cannot do what is needed. */
  | 'UNSUPPORTED'
  | 'ABORTED'
  /** Nobody reads the stream any more that an output goes to. */
  | 'READER_GONE'
  | 'USAGE';

export class PipelineError extends CasError {
  constructor(code: PipelineErrorCode, parts: ErrorParts) {
    super(code, parts);
    this.name = 'PipelineError';
  }
}

/** What work ends with when it is to stop. */
export function abortedError(): PipelineError {
  return new PipelineError('ABORTED', { reason: 'interrupted' });
}

/** @throws PipelineError `ABORTED` if the signal has fired */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError();
}

/** A controller that fires when `signal` does, too, with {@link abortedError} as its reason. */
export function controllerBehind(signal: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  if (signal?.aborted) controller.abort(abortedError());
  signal?.addEventListener('abort', () => controller.abort(abortedError()), {
    signal: controller.signal,
  });
  return controller;
}
