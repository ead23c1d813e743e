/** The completion script of fish. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OptionRow } from '../option-row.ts';
import { OPTION_TABLE } from '../option-table.ts';
import {
  COMMANDS,
  GENERATED,
  SPELLINGS_WITH_VALUE,
  VERBS_WITH_ENDINGS,
  valueWords,
} from './words.ts';

const FUNCTIONS = join(import.meta.dirname, 'functions.fish');

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}

function optionLine(row: OptionRow): string {
  const parts = ['complete -c casync', `-l ${row.long}`];
  if (row.short) parts.push(`-s ${row.short}`);
  const words = valueWords(row);
  if (words) parts.push(`-x -a ${quoted(words.join(' '))}`);
  else if (row.values === 'folder') parts.push("-x -a '(__casync_names /)'");
  else if (row.values === 'file') parts.push('-r -F');
  else if (row.takesValue) parts.push('-x');
  return [...parts, `-d ${quoted(row.help)}`].join(' ');
}

function commandLine({ name, description }: { name: string; description: string }): string {
  const condition = `-n 'test (count (__casync_words)) -eq 0'`;
  return `complete -c casync -f ${condition} -a ${name} -d ${quoted(description)}`;
}

function verbLines(): readonly string[] {
  return VERBS_WITH_ENDINGS.flatMap(({ name, endings }) =>
    endings.flatMap((each, i) => {
      if (each.length === 0) return [];
      const condition =
        i === endings.length - 1 ? `__casync_at ${name}` : `__casync_at ${name} ${i}`;
      return [`complete -c casync -n '${condition}' -x -a '(__casync_names ${each.join(' ')})'`];
    }),
  );
}

/** The text of completions/casync.fish. */
export function fishCompletion(): string {
  return [
    '# Completion of casync for fish: put this file into ~/.config/fish/completions.',
    `# ${GENERATED}`,
    '',
    `set -g __casync_with_value ${SPELLINGS_WITH_VALUE.join(' ')}`,
    '',
    readFileSync(FUNCTIONS, 'utf8'),
    ...COMMANDS.map(commandLine),
    "complete -c casync -f -n '__casync_at help'",
    ...verbLines(),
    ...OPTION_TABLE.map(optionLine),
    '',
  ].join('\n');
}
