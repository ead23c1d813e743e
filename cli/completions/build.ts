/**
 * Writes the scripts of completions/ from the tables of options and verbs. `npm run build:completions`
 * runs it with the argument `write`; a test calls it and compares, so that neither can be changed alone.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bashCompletion } from './bash.ts';
import { fishCompletion } from './fish.ts';
import { zshCompletion } from './zsh.ts';

const FOLDER = join(import.meta.dirname, '../../completions');

/** Name of each script in completions/, and its text. */
export function buildCompletions(): Readonly<Record<string, string>> {
  return {
    'casync.bash': bashCompletion(),
    _casync: zshCompletion(),
    'casync.fish': fishCompletion(),
  };
}

if (process.argv[2] === 'write') {
  for (const [name, text] of Object.entries(buildCompletions())) {
    writeFileSync(join(FOLDER, name), text);
  }
}
