/** The help: narrow, complete, and about the program as it was called (spec/command-line.md). */
import test from 'ava';
import { helpText } from '../../cli/help.ts';
import { OPTION_TABLE } from '../../cli/option-table.ts';
import { KINDS } from '../../cli/options.ts';
import { VERBS } from '../../cli/verbs.ts';
import { FEATURE_GROUP_NAMES, FEATURE_NAMES } from '../../formats/feature-flags.ts';

const text = helpText('casync');
const lines = text.split('\n');

test('no line of the help is longer than 79 columns', (t) => {
  t.deepEqual(
    lines.filter((line) => line.length > 79),
    [],
  );
});

test('the help names every command with its words', (t) => {
  for (const { name, synopsis } of VERBS) t.true(text.includes(`\n  ${name} ${synopsis}`), name);
  t.regex(text, /\n {2}help /);
});

test('the help names every option with its value', (t) => {
  for (const { short, long, metavar = '' } of OPTION_TABLE) {
    const start = `  ${short ? `-${short}, ` : '    '}--${long}${metavar} `;
    t.true(
      lines.some((line) => `${line} `.startsWith(start)),
      start,
    );
  }
});

test('the help names every kind, feature and group as a word', (t) => {
  const words = new Set(text.split(/[\s,]+/));
  const names = [...KINDS, ...FEATURE_NAMES.map(([name]) => name), ...FEATURE_GROUP_NAMES];
  t.deepEqual(
    names.filter((name) => !words.has(name)),
    [],
  );
});

test('the help promises nothing for later', (t) => {
  t.notRegex(text, /\byet\b|not available/i);
});

test('the help shows the name of the program as it was called', (t) => {
  t.true(helpText('pack').startsWith('Usage: pack [OPTION...] COMMAND [ARGUMENT...]\n'));
});
