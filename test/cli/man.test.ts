/** The manual page against the tables of the program, and against those who print it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'ava';
import { OPTION_TABLE } from '../../cli/option-table.ts';
import { KINDS } from '../../cli/options.ts';
import { LOG_LEVEL_NAMES } from '../../cli/values.ts';
import { VERBS } from '../../cli/verbs.ts';
import { FEATURE_GROUP_NAMES, FEATURE_NAMES } from '../../formats/feature-flags.ts';
import { requirement } from '../helpers/requirements.ts';

const PROJECT = resolve(import.meta.dirname, '../..');
const PAGE = join(PROJECT, 'man/casync.1');
const source = readFileSync(PAGE, 'utf8');

/** The page as words, without the macros around them. */
const words = new Set(source.split(/[^\w.-]+/));

function lacking(names: readonly string[]): readonly string[] {
  return names.filter((name) => !words.has(name));
}

test('the manual page describes every option under its own head', (t) => {
  const heads = source.split('\n').filter((line) => line.startsWith('.It Fl '));
  for (const { long, short } of OPTION_TABLE) {
    const head = heads.find((line) => new RegExp(`Fl Fl ${long}(?: |$)`).test(line));
    t.truthy(head, long);
    if (short) t.true(head?.includes(`Fl ${short} , `), short);
  }
  t.is(heads.length, OPTION_TABLE.length);
});

test('the manual page describes every command, with an example', (t) => {
  const synopsis = source.split('.Sh DESCRIPTION')[0];
  const commands = source
    .split('.Sh COMMANDS')[1]
    .split('.Sh OPTIONS')[0]
    .split('\n.It Cm ')
    .slice(1);
  for (const { name } of VERBS) {
    t.regex(synopsis, new RegExp(`\\b${name}\\b`));
    const text = commands.find((command) => command.split(/\s/, 1)[0] === name);
    t.truthy(text, name);
    if (name !== 'manifest')
      t.true(text?.includes(`casync ${name}`) || / --/.test(text ?? ''), name);
  }
});

test('the manual page names every kind, feature, group and level', (t) => {
  t.deepEqual(lacking(KINDS), []);
  t.deepEqual(lacking(FEATURE_NAMES.map(([name]) => name)), []);
  t.deepEqual(lacking(FEATURE_GROUP_NAMES), []);
  t.deepEqual(lacking(LOG_LEVEL_NAMES), []);
});

test('the manual page names every exit status and variable of the specification', (t) => {
  const statuses = readFileSync(join(PROJECT, 'spec/exit-codes.md'), 'utf8');
  for (const [, status] of statuses.matchAll(/^\| (\d+) /gm)) {
    t.true(source.includes(`\n.It ${status}\n`), status);
  }
  const contract = readFileSync(join(PROJECT, 'spec/command-line.md'), 'utf8');
  const variables = contract.split('## Environment')[1].split('\n## ')[0];
  for (const [, variable] of variables.matchAll(/^\| `(\w+)`/gm)) {
    t.true(source.includes(`.It Ev ${variable}\n`), variable);
  }
});

for (const [program, args] of [
  ['mandoc', ['-Tlint', '-W', 'warning', PAGE]],
  ['groff', ['-mandoc', '-ww', '-z', PAGE]],
] as const) {
  test(`${program} finds nothing to complain about in the manual page`, (t) => {
    if (!requirement(t, { commands: [program] })) return;
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    t.deepEqual({ status, text: stdout + stderr }, { status: 0, text: '' });
  });
}

test('the printed page has no line that is too wide for 80 columns', (t) => {
  if (!requirement(t, { commands: ['mandoc'] })) return;
  const args = ['-Tascii', '-O', 'width=79', PAGE];
  const { stdout } = spawnSync('mandoc', args, { encoding: 'utf8' });
  t.true(stdout.length > 10_000);
  const plain = stdout.replace(/.[\b]/g, '');
  t.deepEqual(
    plain.split('\n').filter((line) => line.length > 79),
    [],
  );
});
