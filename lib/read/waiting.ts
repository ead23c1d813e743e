/** Waiting for bytes that others may wait for, too: who gives up does not stop the work. */
import { abortedError } from '../errors.ts';

/**
 * The result of work that goes on by itself, unless one of the signals fires before it is there.
 * @throws PipelineError `ABORTED`; what the work throws
 */
export function unlessAborted<Result>(
  work: Promise<Result>,
  ...signals: readonly (AbortSignal | undefined)[]
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      leave();
      reject(abortedError());
    };
    const leave = (): void => {
      for (const signal of signals) signal?.removeEventListener('abort', stop);
    };
    for (const signal of signals) signal?.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(leave);
    if (signals.some((signal) => signal?.aborted)) stop();
  });
}
