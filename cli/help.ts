/** The help text. Laid out by commander from the tables of verbs, options, kinds and features. */
import { Command, Option } from 'commander';
import { FEATURE_GROUP_NAMES, FEATURE_NAMES } from '../formats/feature-flags.ts';
import { OPTION_TABLE } from './option-table.ts';
import { KINDS } from './options.ts';
import { VERBS } from './verbs.ts';

/** No line of the help may be longer. */
const COLUMNS = 79;

function wrapWords(words: readonly string[], indent: string): string {
  const lines: string[] = [];
  let line = indent.slice(1);
  for (const word of words) {
    if (line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = indent.slice(1);
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\n');
}

/** @param program name of the command as it was called, without its path */
export function helpText(program: string): string {
  const root = new Command(program)
    .usage('[OPTION...] COMMAND [ARGUMENT...]')
    .description('Keep images and directory trees as chunks that are stored once')
    .helpOption(false)
    .helpCommand('help', 'Show this help')
    .configureOutput({ getOutHelpWidth: () => COLUMNS, getOutHasColors: () => false });
  for (const verb of VERBS) {
    root.command(verb.name).usage(verb.synopsis).description(verb.description);
  }
  root.configureHelp({
    subcommandTerm: (command) => `${command.name()} ${command.usage()}`.trim(),
    optionTerm: (option) => option.flags,
  });
  for (const row of OPTION_TABLE) {
    const short = row.short ? `-${row.short}, ` : '    ';
    const option = new Option(`${short.trim()} --${row.long}`.trim(), row.help);
    option.flags = `${short}--${row.long}${row.metavar ?? ''}`;
    root.addOption(option);
  }
  return [
    root.helpInformation().trimEnd(),
    '',
    'Kinds for --what=:',
    wrapWords(KINDS, '  '),
    '',
    'Features for --with= and --without=, singly and in groups:',
    wrapWords(
      FEATURE_NAMES.map(([name]) => name),
      '  ',
    ),
    wrapWords(FEATURE_GROUP_NAMES, '  '),
    '',
  ].join('\n');
}
