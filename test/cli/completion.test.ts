/** What bash, zsh and fish offer at the places of a command line (spec/command-line.md, "Shells"). */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { buildCompletions } from '../../cli/completions/build.ts';
import { OPTION_TABLE } from '../../cli/option-table.ts';
import { KINDS } from '../../cli/options.ts';
import { VERBS } from '../../cli/verbs.ts';
import { FEATURE_GROUP_NAMES, FEATURE_NAMES } from '../../formats/feature-flags.ts';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const FOLDER = resolve(import.meta.dirname, '../../completions');
const ZSH_DRIVER = resolve(import.meta.dirname, '../helpers/complete.zsh');

for (const [name, text] of Object.entries(buildCompletions())) {
  test(`completions/${name} is what the tables make it (npm run build:completions)`, (t) => {
    t.is(readFileSync(join(FOLDER, name), 'utf8'), text);
  });
}

/** Calls the function as bash does; `breaks` are the characters at which readline cuts words. */
const BASH_DRIVER = `
source "$1"
COMP_WORDBREAKS=$3
line=$2
[[ $COMP_WORDBREAKS == *=* ]] && line=\${line//=/ = }
read -ra COMP_WORDS <<<"$line"
[[ $2 == *' ' || $2 == *= && $COMP_WORDBREAKS == *=* && \${COMP_WORDS[-1]} != = ]] && COMP_WORDS+=('')
COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
_casync
printf '%s\\n' "\${COMPREPLY[@]}"
`;

type Shell = (line: string, cwd: string) => readonly string[];

function lines(command: string, args: readonly string[], cwd: string): readonly string[] {
  const { stdout, stderr, status } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  if (status !== 0 && stderr !== '') throw new Error(`${command}: ${stderr}`);
  return stdout.split('\n').filter((line) => line !== '');
}

function bash(breaks: string): Shell {
  const script = join(FOLDER, 'casync.bash');
  return (line, cwd) =>
    lines('bash', ['--norc', '-c', BASH_DRIVER, 'bash', script, line, breaks], cwd);
}

const SHELLS: Readonly<Record<string, readonly [program: string, complete: Shell]>> = {
  'bash, as usual': ['bash', bash(' \t\n"\'><=;|&(:')],
  'bash that does not cut words at equals signs': ['bash', bash(' \t\n"\'><;|&(:')],
  zsh: ['zsh', (line, cwd) => lines('zsh', ['-f', ZSH_DRIVER, FOLDER, line], cwd)],
  fish: [
    'fish',
    (line, cwd) => {
      const script = `source ${join(FOLDER, 'casync.fish')}; complete -C '${line}'`;
      return lines('fish', ['--no-config', '-c', script], cwd);
    },
  ],
};

const FILES = ['a.catar', 'b.caibx', 'c.caidx', 'img.raw'];
const FOLDERS = ['sub', 'x.castr'];
const NAMED = ['a.catar', 'b.caibx', 'c.caidx', ...FOLDERS];
const INDEXES = ['b.caibx', 'c.caidx', ...FOLDERS];
const ANY = [...FILES, ...FOLDERS];
const VERB_NAMES = [...VERBS.map(({ name }) => name), 'help'];
const FEATURES = [...FEATURE_GROUP_NAMES, ...FEATURE_NAMES.map(([name]) => name), 'help'];
const LEVELS = ['emerg', 'alert', 'crit', 'err', 'warn', 'notice', 'info', 'debug'];

const ROWS: Readonly<Record<string, readonly string[]>> = {
  'casync ': VERB_NAMES,
  'casync mak': ['make'],
  'casync -v --store=x.castr -n --seed sub m': VERB_NAMES.filter((name) => name.startsWith('m')),
  'casync -- m': VERB_NAMES.filter((name) => name.startsWith('m')),
  'casync --': OPTION_TABLE.map(({ long }) => `--${long}`),
  'casync make a.catar --se': ['--seed', '--seed-output'],
  'casync --log-level=': LEVELS,
  'casync --log-level e': ['emerg', 'err'],
  'casync -l ': LEVELS,
  'casync --what=': [...KINDS, 'help'],
  'casync make --what arch': ['archive', 'archive-index'],
  'casync --with=': FEATURES,
  'casync list --without ': FEATURES,
  'casync --without=unix --with=flag-n': FEATURES.filter((name) => name.startsWith('flag-n')),
  'casync --digest=': ['sha256', 'sha512-256', 'default', 'blake2b-256'],
  'casync --compression ': ['zstd', 'xz', 'gzip', 'default'],
  'casync --delete=': ['yes', 'no'],
  'casync extract --hardlink ': ['yes', 'no'],
  'casync --store=': FOLDERS,
  'casync make --extra-store ': FOLDERS,
  'casync --cache=x': ['x.castr'],
  'casync --seed=': ANY,
  'casync extract --seed i': ['img.raw'],
  'casync make ': NAMED,
  'casync make i': ['img.raw'],
  'casync make c': ['c.caidx'],
  'casync make --store=x.castr -v ': NAMED,
  'casync make --store x.castr ': NAMED,
  'casync --seed sub extract --delete=no ': NAMED,
  'casync make b.caibx ': ANY,
  'casync make b.caibx --store x.castr i': ['img.raw'],
  'casync extract ': NAMED,
  'casync extract -- ': NAMED,
  'casync extract a.catar ': ANY,
  'casync gc ': INDEXES,
  'casync gc b.caibx ': INDEXES,
  'casync gc -n --store x.castr b.caibx c': ['c.caidx'],
  'casync list ': ANY,
  'casync mtree ': ANY,
  'casync stat i': ['img.raw'],
  'casync digest ': ANY,
  'casync cat ': ANY,
  'casync mount c': ['c.caidx'],
  'casync serve-nbd --socket ': ANY,
  'casync mkdev --cow i': ['img.raw'],
  'casync help ': [],
};

/** Offers without what the shells add to them differently. */
function plain(offer: string): string {
  return offer
    .replace(/\t.*/, '')
    .replace(/^--[a-z-]+=(?=.)/, '')
    .replace(/\/$/, '');
}

function fillFolder(t: ExecutionContext): string {
  const folder = temporaryFolder(t);
  for (const name of FILES) writeFileSync(join(folder, name), '');
  for (const name of FOLDERS) mkdirSync(join(folder, name));
  return folder;
}

for (const [shell, [program, complete]] of Object.entries(SHELLS)) {
  test(`${shell} offers what fits`, (t) => {
    t.timeout(120_000);
    if (!requirement(t, { commands: [program] })) return;
    const folder = fillFolder(t);
    for (const [line, expected] of Object.entries(ROWS)) {
      const offers = [...new Set(complete(line, folder).map(plain))];
      t.deepEqual(offers.sort(), [...expected].sort(), line);
    }
  });
}

test('bash offers names with blanks and quotes as they are', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'my $file'), '');
  const [, complete] = SHELLS['bash, as usual'];
  t.deepEqual(complete('casync list m', folder), ['my $file']);
});

test('bash replaces the whole word where it is one', (t) => {
  const [, complete] = SHELLS['bash that does not cut words at equals signs'];
  t.deepEqual(complete('casync --delete=y', '/'), ['--delete=yes']);
});
