/** The completion script of zsh, a function for its completion system. */
import type { OptionRow } from '../option-row.ts';
import { OPTION_TABLE } from '../option-table.ts';
import { COMMANDS, GENERATED, spellings, VERBS_WITH_ENDINGS, valueWords } from './words.ts';

/** Text within single quotes; brackets and colons mean something to _arguments. */
function escaped(text: string): string {
  return text.replace(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''");
}

/** Options that may be given more than once with effect. */
const REPEATABLE = new Set(['extra-store', 'seed', 'with', 'without']);

function argumentOf(row: OptionRow): string {
  if (!row.takesValue) return '';
  const words = valueWords(row);
  let action = ' ';
  if (words) action = `(${words.join(' ')})`;
  else if (row.values === 'folder') action = '_files -/';
  else if (row.values === 'file') action = '_files';
  return `:${row.long}:${action}`;
}

function specification(row: OptionRow): string {
  const names = spellings(row);
  const shown = `[${escaped(row.help)}]${argumentOf(row)}`;
  const exclusion = REPEATABLE.has(row.long) ? '*' : `(${names.join(' ')})`;
  return names
    .map((name) => {
      // `-l err` and `-lerr`; `--store x` and `--store=x`.
      const sign = !row.takesValue ? '' : name.startsWith('--') ? '=' : '+';
      return `    '${exclusion}${name}${sign}${shown}'`;
    })
    .join(' \\\n');
}

function verbCases(): string {
  return VERBS_WITH_ENDINGS.flatMap(({ name, endings }) =>
    endings.map((each, i) => {
      const position = i === endings.length - 1 ? '*' : `${i + 2}`;
      const glob = `*(${each.join('|')})(-.)`;
      // Without a fitting name anything is offered.
      const action = each.length > 0 ? `_files -g '${glob}' || _files` : '_files';
      return `      ${name}:${position}) ${action} ;;`;
    }),
  ).join('\n');
}

/** The text of completions/_casync. */
export function zshCompletion(): string {
  const commands = COMMANDS.map(
    ({ name, description }) => `    '${name}:${description.replaceAll("'", "'\\''")}'`,
  );
  return [
    '#compdef casync',
    '# Completion of casync for zsh: put this file into a folder of $fpath.',
    `# ${GENERATED}`,
    '',
    '_casync() {',
    '  local context state state_descr line',
    '  typeset -A opt_args',
    '  local -a commands=(',
    commands.join('\n'),
    '  )',
    '  _arguments -C -s -S \\',
    `${OPTION_TABLE.map(specification).join(' \\\n')} \\`,
    "    '1:command:->command' \\",
    "    '*:word:->word' && return",
    '  case $state in',
    "    command) _describe -t commands 'casync command' commands ;;",
    '    word)',
    '      case $line[1]:$#line in',
    verbCases(),
    '      help:*) ;;',
    '      *) _files ;;',
    '      esac',
    '      ;;',
    '  esac',
    '}',
    '',
    '_casync "$@"',
    '',
  ].join('\n');
}
