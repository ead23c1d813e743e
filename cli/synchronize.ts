/** Failures of the work itself begin with the original's words, then name what failed. */
import { CasError, isCasError } from '../formats/errors.ts';
import { notify } from '../lib/os/notify.node.ts';

/** Runs the main work of a command, after telling whoever waits for `READY=1`. */
export async function synchronize<T>(work: () => Promise<T>): Promise<T> {
  notify('READY=1');
  try {
    return await work();
  } catch (error) {
    throw synchronizerFailure(error);
  }
}

/** A failure with the original's words in front, except where it has others. */
export function synchronizerFailure(error: unknown): unknown {
  if (!isCasError(error) || error.code === 'ABORTED' || error.code === 'READER_GONE') return error;
  if (error.code === 'NOT_IN_ARCHIVE' || error.code === 'USAGE') return error;
  return new CasError(error.code, {
    subject: 'Failed to run synchronizer',
    reason: error.message,
    cause: error,
  });
}
