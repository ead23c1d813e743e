/** The words of `pull` and `push`, and what their failures are called (spec/command-line.md). */
import { CasError, isCasError } from '../formats/errors.ts';
import { refuse } from './kinds.ts';

export interface PeerPlaces {
  readonly archive: string | undefined;
  readonly index: string | undefined;
  readonly stores: readonly string[];
}

const LEAST_WORDS = 4;

/**
 * @param baseRefusal what is said of a base, which nobody can use
 * @throws CasError `USAGE`
 */
export function peerPlaces(words: readonly string[], baseRefusal: string): PeerPlaces {
  if (words.length < LEAST_WORDS) throw refuse('Expected at least 5 arguments.');
  const [base, archive, index, ...stores] = words.map(named);
  if (base !== undefined) throw refuse(baseRefusal);
  const namedStores = stores.filter((store) => store !== undefined);
  if (archive === undefined && index === undefined && namedStores.length === 0) {
    throw refuse('Nothing to do.');
  }
  return { archive, index, stores: namedStores };
}

function named(word: string): string | undefined {
  return word === '' || word === '-' ? undefined : word;
}

/** Serves a client; failures begin with the original's words, then name what failed. */
export async function processRemote(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isCasError(error) || error.code === 'ABORTED') throw error;
    throw new CasError(error.code, {
      subject: 'Failed to process remote',
      reason: error.message,
      cause: error,
    });
  }
}
