/** The completion script of bash; it needs nothing but bash 4.4 itself. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OPTION_TABLE } from '../option-table.ts';
import {
  COMMANDS,
  GENERATED,
  SPELLINGS_WITH_VALUE,
  spellings,
  VERBS_WITH_ENDINGS,
  valueWords,
} from './words.ts';

const FUNCTIONS = join(import.meta.dirname, 'functions.bash');

function variable(name: string, words: readonly string[]): string {
  return `${name}='${words.join(' ')}'`;
}

function valueCases(): readonly string[] {
  return OPTION_TABLE.flatMap((row) => {
    const words = valueWords(row);
    let action = '';
    if (words) action = `_casync_words "$2" '${words.join(' ')}'`;
    else if (row.values === 'folder') action = '_casync_names -d "$2"';
    else if (row.values === 'file') action = '_casync_names -f "$2"';
    return action === '' ? [] : [`        ${spellings(row).join(' | ')}) ${action} ;;`];
  });
}

function operandCases(): readonly string[] {
  return VERBS_WITH_ENDINGS.flatMap(({ name, endings }) =>
    endings.map((each, i) => {
      const position = i === endings.length - 1 ? '*' : `${i}`;
      return `        ${[`${name}:${position}) _casync_names -f "$3"`, ...each].join(' ')} ;;`;
    }),
  );
}

/** The text of completions/casync.bash. */
export function bashCompletion(): string {
  return [
    '# Completion of casync for bash: source this file.',
    `# ${GENERATED}`,
    '',
    variable(
      '_casync_commands',
      COMMANDS.map(({ name }) => name),
    ),
    variable('_casync_options', OPTION_TABLE.flatMap(spellings)),
    variable('_casync_with_value', SPELLINGS_WITH_VALUE),
    '',
    '# Offers values of the option $1 that begin with $2.',
    '_casync_value() {',
    '    case $1 in',
    ...valueCases(),
    '    esac',
    '}',
    '',
    '# Offers names for the word that begins with $3 and stands behind the verb $1 and $2 other words.',
    '_casync_operand() {',
    '    case $1:$2 in',
    ...operandCases(),
    '        help:*) ;;',
    '        *) _casync_names -f "$3" ;;',
    '    esac',
    '}',
    '',
    readFileSync(FUNCTIONS, 'utf8'),
  ].join('\n');
}
