/** Failures of the work itself begin with the original's words, then name what failed. */
import { CasError, isCasError } from '../formats/errors.ts';

/** Runs the main work of a command. */
export async function synchronize<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isCasError(error) || error.code === 'ABORTED' || error.code === 'READER_GONE') throw error;
    if (error.code === 'NOT_IN_ARCHIVE' || error.code === 'USAGE') throw error;
    throw new CasError(error.code, {
      subject: 'Failed to run synchronizer',
      reason: error.message,
      cause: error,
    });
  }
}
