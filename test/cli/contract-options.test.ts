/**
 * Options as the original reads them (spec/command-line.md, "Syntax" and "Options"): every row is run by
 * both programs, and status, standard output and standard error must be the same.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { OPTION_TABLE } from '../../cli/option-table.ts';
import { findCommand, requirement } from '../helpers/requirements.ts';
import { CASYNC } from '../helpers/run-casync.ts';
import {
  assertSameAsReference,
  type Outcome,
  ourOutcome,
  referenceOutcome,
} from '../helpers/same-as-reference.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

type Environment = Readonly<Record<string, string>>;

/** A word that no command has: what stands before it has been accepted if it is complained about. */
const NONE = 'nonsense';

function same(args: readonly string[], env: Environment = {}): void {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value} `);
  test(`the same as casync: ${variables.join('')}${JSON.stringify(args)}`, (t) =>
    assertSameAsReference(t, args, { env, cwd: temporaryFolder(t) }));
}

const SYNTAX: readonly (readonly string[])[] = [
  [],
  [''],
  ['-'],
  ['--'],
  [NONE],
  [NONE, '--', '--version'],
  ['--', '--version'],
  ['--foo'],
  ['--foo=1'],
  ['--foo='],
  ['---'],
  ['-Z'],
  ['-vZ'],
  ['-vnZl'],
  ['--store'],
  ['--verbose', '--store'],
  ['--recursive'],
  ['-l'],
  ['-vl'],
  ['--verbose=1'],
  ['--verb=1'],
  ['--help=1'],
  ['--version=1'],
  ['-vnlerr', NONE],
  ['-l', 'err', NONE],
  ['-l', '--', NONE],
  ['-lcrit', NONE],
  ['-l=3', NONE],
  ['--store', '--foo', NONE],
  ['--store', '--', NONE, '--foo'],
  [NONE, '-v', '--store=x', 'a', '-n', '--foo'],
  ['--verb', '--dry', '--mk=no', NONE],
  ['--seed=x', '--seed-output=no', NONE],
  ['-Z', '--version'],
  ['--what=foo', '--help'],
  ['--with=foo', '--with=help'],
  ['--foo', '--with=help'],
  ['--with=help', '--foo'],
  ['--without=help', 'make'],
  ['-c', '-n', '-v', NONE],
  ['-cnv', NONE],
];
for (const args of SYNTAX) same(args);

for (const cut of ['s', 'e', 'c', 'd', 'u', 'w', 'wi', 'r', 're', 'rec', 'h', 'v', 'l', 'm', 'p']) {
  same([`--${cut}`]);
}
for (const cut of ['ex', 'exclude', 'exclude-s', 'se', 'seed-', 'ca', 'cache-', 'co', 'a', 'h=1']) {
  same([`--${cut}`]);
}
// An empty beginning fits them all: the complaint lists every option in the order of declaration.
same(['--=x']);

const VALUES: Readonly<Record<string, readonly string[]>> = {
  'log-level': [
    'emerg',
    'emergency',
    '0',
    'alert',
    '1',
    'crit',
    'critical',
    '2',
    'err',
    'error',
    '3',
  ],
  'log-level ': [
    'warn',
    'warning',
    '4',
    'notice',
    '5',
    'info',
    '6',
    'debug',
    '7',
    '8',
    '-1',
    '',
    'ERR',
  ],
  'log-level  ': [' 3', '07', '7x', 'loud'],
  'chunk-size': [
    'auto',
    'AUTO',
    '',
    '1',
    '0',
    '64K',
    '64k',
    '64KB',
    ' 64K',
    '64 K',
    '64K ',
    '-64K',
  ],
  'chunk-size ': [
    '1M512K',
    '1K 5',
    '1.5K',
    '1.5',
    '.5K',
    '1.K',
    '1K1K',
    '1K1M',
    '0x10',
    '128M',
    '129M',
  ],
  'chunk-size  ': [
    '17E',
    '99999999999999999999',
    '1:2',
    '1:2:3:4',
    '1:2:',
    '::',
    ':',
    '1::3',
    '1:2:3',
  ],
  'chunk-size   ': ['a', 'a:1:3', '1:a:3', '1:2:a', '0:1:2', '0:0:0', '2:1:3', '1:3:2', '3:2:1'],
  'chunk-size    ': ['1:2:128M', '1:2:129M', '1:2:99999999999999999999', '64K:64K:64K', '16:32:47'],
  'rate-limit-bps': ['0', '0B', '', 'a', '1K', '1KB', '1K1B', '1K2', '1.', '0.0001', '17E'],
  'rate-limit-bps ': ['18446744073709551615', '18446744073709551616'],
  with: ['', 'foo', 'unix', 'unix,fat', 'UNIX', 'all', '16bit-uids', 'help'],
  without: ['', 'foo', 'privileged', 'best', 'help'],
  what: [
    '',
    'foo',
    'archive',
    'archive-index',
    'blob',
    'blob-index',
    'directory',
    'Archive',
    'dir',
  ],
  digest: ['', 'foo', 'default', 'sha256', 'sha512-256', 'SHA256', 'md5'],
  compression: ['', 'foo', 'default', 'zstd', 'xz', 'gzip', 'ZSTD', 'bzip2'],
  'uid-shift': [
    '',
    '0',
    '1',
    '+1',
    ' 1',
    '1 ',
    '-1',
    '0x10',
    '0X10',
    '0x',
    '010',
    '08',
    '0o7',
    '0b1',
  ],
  'uid-shift ': [
    'yes',
    'no',
    'ON',
    'foo',
    '65534',
    '65535',
    '4294967294',
    '4294967295',
    '4294967296',
  ],
  'uid-range': [
    '',
    '0',
    '1',
    '+5',
    ' 5',
    '-1',
    '65535',
    '65536',
    '0x10000',
    '4294967295',
    'foo',
    'yes',
  ],
  'uid-range ': ['4294967296', '4294967297', '0x100000000', '18446744073709551617', 'no'],
  delete: [
    '1',
    'yes',
    'YES',
    'y',
    'true',
    'True',
    't',
    'on',
    'On',
    'oN',
    'maybe',
    '',
    '2',
    ' yes',
    'ye',
  ],
  'delete ': ['0', 'no', 'NO', 'n', 'false', 'False', 'f', 'off', 'OFF', 'yes ', 'tr', 'fa', '01'],
};
for (const [name, values] of Object.entries(VALUES)) {
  for (const value of values) same([`--${name.trim()}=${value}`, NONE]);
}

const BOOLEANS = [
  ...['exclude-nodump', 'exclude-submounts', 'exclude-file', 'undo-immutable', 'punch-holes'],
  ...['reflink', 'hardlink', 'seed-output', 'recursive', 'mkdir'],
];
for (const name of BOOLEANS) {
  for (const value of ['yes', 'No', 'maybe']) same([`--${name}=${value}`, NONE]);
}
for (const name of ['store', 'extra-store', 'seed', 'cache']) same([`--${name}=`, NONE]);

// Errors are of level 3; getopt's own are said at every level.
for (const level of ['crit', 'err']) {
  same([NONE, `--log-level=${level}`]);
  same([`--log-level=${level}`, '--what=foo']);
  same([`--log-level=${level}`, '--foo']);
  same([`-l${level}`]);
  same([NONE], { CASYNC_LOG_LEVEL: level });
  same([NONE, '-ldebug'], { CASYNC_LOG_LEVEL: level });
  same(['extract', `-l${level}`, 'x.caibx', 'y', 'sub']);
}
same(['--log-level=crit', '-l', 'foo']);
same([NONE], { CASYNC_LOG_LEVEL: 'foo' });
same([NONE], { CASYNC_VERBOSE: 'foo' });
same(['list', '--foo'], { POSIXLY_CORRECT: '' });
same(['-v', NONE, '--foo'], { POSIXLY_CORRECT: '1' });
same(['--foo', NONE], { POSIXLY_CORRECT: '1' });

const TOO_MANY: readonly (readonly string[])[] = [
  ['make', 'a', 'b', 'c'],
  ['extract', 'a', 'b', 'c', 'd'],
  ['list', 'a', 'b', 'c'],
  ['mtree', 'a', 'b', 'c'],
  ['stat', 'a', 'b', 'c'],
  ['digest', 'a', 'b', 'c'],
];
for (const args of TOO_MANY) same(args);

test('the options of casync 2 come first in the table, all others are never shortened', (t) => {
  const own = OPTION_TABLE.findIndex(({ neverShortened }) => neverShortened === true);
  t.is(own, 30);
  t.true(OPTION_TABLE.slice(own).every(({ neverShortened }) => neverShortened === true));
});

test('messages show the name as it was called, hints show it without its path', (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const folder = temporaryFolder(t);
  const results = [CASYNC, findCommand('casync') ?? ''].map((program, i) => {
    const link = join(folder, `${i}`, 'pack');
    mkdirSync(join(folder, `${i}`));
    symlinkSync(program, link);
    const run = (...args: readonly string[]): string => {
      const { stderr } = spawnSync(link, args, { encoding: 'utf8' });
      return stderr.replaceAll(join(folder, `${i}`), 'FOLDER');
    };
    return [run('--foo'), run('-l'), run(), run('x')];
  });
  t.deepEqual(results[0], results[1]);
  t.is(results[0][0], "FOLDER/pack: unrecognized option '--foo'\n");
  t.regex(results[0][2], /Invoke 'pack --help'/);
});

/** Answers that differ from the original's on purpose. */
const OWN_ANSWERS: Readonly<Record<string, Outcome>> = {
  '--version': { status: 0, stdout: 'casync 2', stderr: '' },
  'list --version': { status: 0, stdout: 'casync 2', stderr: '' },
  '--version --foo': { status: 0, stdout: 'casync 2', stderr: '' },
  '--what=help': {
    status: 0,
    stdout: 'Allowed --what= selectors:\narchive\narchive-index\nblob\nblob-index\ndirectory\n',
    stderr: '',
  },
  '--help': { status: 0, stdout: 'Usage: casync [OPTION...] COMMAND', stderr: '' },
  '-vh --foo': { status: 0, stdout: 'Usage: casync [OPTION...] COMMAND', stderr: '' },
  help: { status: 0, stdout: 'Usage: casync [OPTION...] COMMAND', stderr: '' },
  'help x': { status: 0, stdout: 'Usage: casync [OPTION...] COMMAND', stderr: '' },
};
for (const [line, expected] of Object.entries(OWN_ANSWERS)) {
  test(`an answer of our own: ${line}`, async (t) => {
    const { status, stdout, stderr } = await ourOutcome(line.split(' '));
    t.deepEqual({ status, stderr }, { status: expected.status, stderr: expected.stderr });
    t.is(stdout.slice(0, expected.stdout.length), expected.stdout);
    if (!requirement(t, { commands: ['casync'] })) return;
    const theirs = await referenceOutcome(line.split(' '));
    t.deepEqual({ status: theirs.status, stderr: theirs.stderr }, { status, stderr });
  });
}

const OWN_REFUSALS: readonly (readonly [readonly string[], Environment, string])[] = [
  [['--chunk-size=+64K'], {}, "Can't parse average chunk size: +64K\n"],
  [['--chunker=rabin'], {}, 'Failed to parse --chunker= parameter: rabin\n'],
  [['--sync=yes'], {}, 'Failed to parse --sync= parameter: yes\n'],
  [['--progress=bar'], {}, 'Failed to parse --progress= parameter: bar\n'],
  [['--stats=json:x'], {}, 'Failed to parse --stats= parameter: json:x\n'],
  [['--chunke=buzhash'], {}, "casync: unrecognized option '--chunke=buzhash'\n"],
  [['list'], { CASYNC_DIGEST: 'md5' }, 'Failed to parse CASYNC_DIGEST variable: md5\n'],
  [['list', '--progress=json:99'], {}, '--progress=json:99: Bad file descriptor\n'],
  [['list', '--stats=json:99'], {}, '--stats=json:99: Bad file descriptor\n'],
];
for (const [args, env, stderr] of OWN_REFUSALS) {
  test(`refused in our words: ${JSON.stringify(args)}`, async (t) => {
    t.deepEqual(await ourOutcome(args, { env }), { status: 1, stdout: '', stderr });
  });
}
