/** What the programs of `bench` have in common: words of their command lines, and how they end. */

const STATUS_INTERRUPTED = 130;
const STATUS_WRONG = 2;

/** A line for whoever waits. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/**
 * Runs a program and sets the exit status: a failure is one line.
 * @param main returns the exit status
 */
export async function runProgram(name: string, main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    const isInterrupt = error instanceof Error && error.name === 'AbortError';
    say(`${name}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = isInterrupt ? STATUS_INTERRUPTED : STATUS_WRONG;
  }
}

/** The words of a list with commas; undefined for none. */
export function wordsOf(list: string | undefined): readonly string[] | undefined {
  return list?.split(',').filter((word) => word !== '');
}

/**
 * The value of an option that is a number.
 * @throws Error if the word is none, or less than the least
 */
export function numberOf(
  name: string,
  word: string | undefined,
  rule: { readonly usual: number; readonly least: number; readonly isWhole: boolean },
): number {
  if (word === undefined) return rule.usual;
  const value = Number(word);
  const isGood = value >= rule.least && (!rule.isWhole || Number.isInteger(value));
  if (word !== '' && isGood && Number.isFinite(value)) return value;
  throw new Error(`--${name}=${word}: wanted is a number of ${rule.least} or more`);
}
