/** Reads arguments with a table of options. Used for the command line of casync and of its helpers. */
import type { Command } from './context.ts';
import { getopt } from './getopt.ts';
import type { Answer, OptionRow } from './option-row.ts';
import type { Options } from './options.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export type Request =
  /** Something to print on stdout, status 0. */
  | { readonly kind: 'answer'; readonly text: () => Promise<string> | string }
  | { readonly kind: 'run'; readonly verb: Command; readonly words: readonly string[] };

export interface ArgumentRules {
  /** Name of the program as it was called, for messages. */
  readonly program: string;
  readonly table: readonly OptionRow[];
  readonly environment: Environment;
}

/**
 * Reads the arguments from left to right into `options`; stops at the first error or answer.
 * @returns the words, or what is to be answered instead of working
 * @throws CasError `USAGE`
 */
export function readArguments(
  argv: readonly string[],
  options: Options,
  { program, table, environment }: ArgumentRules,
): readonly string[] | Answer {
  const settings = { program, stopAtFirstWord: environment.POSIXLY_CORRECT !== undefined };
  const words: string[] = [];
  for (const token of getopt(argv, table, settings)) {
    if (token.kind === 'word') {
      words.push(token.text);
      continue;
    }
    const row = table.find((candidate) => candidate.long === token.long);
    const answer = row?.apply(options, token.value ?? '');
    if (answer) return answer;
  }
  return words;
}
