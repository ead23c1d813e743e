/** A word of diff or verify as the library takes it. */
import type { ComparedInput } from '../lib/api/options.ts';
import type { Context } from './context.ts';
import { inputOf, kindOfName, type OpenedInput, openInput, STANDARD_STREAM } from './kinds.ts';
import { storeOptions } from './stores.ts';

export interface ComparedWord extends ComparedInput {
  readonly opened: OpenedInput;
}

/**
 * Opens what a word names. A directory is one whatever `--what=` says; of all else `--what=` decides, if
 * its name has no suffix that tells.
 */
export function openCompared(word: string, context: Context): ComparedWord {
  const opened = openInput(word, (label) => `Failed to open ${label}`);
  const kind = kindOfName(word) ?? context.options.what;
  return {
    ...inputOf(opened),
    ...storeOptions(word, context),
    opened,
    ...(kind === undefined || opened.type === 'directory' ? {} : { kind }),
  };
}

/** True if both would read standard input. */
export function isTwiceStandardInput(words: readonly string[]): boolean {
  return words.filter((word) => word === STANDARD_STREAM).length > 1;
}
