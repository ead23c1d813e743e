/** The commands list, mtree and stat: inputs, outputs, messages (spec/command-line.md). */
import { type Row, removeMiddle, testRows } from './both.ts';

const VERBS = ['list', 'mtree', 'stat'] as const;
const UTC = { TZ: 'UTC' };
const REFUSE_PIPE = 'Input is neither a file or directory. Refusing.';
const NOT_THERE = 'Seek path not available in archive.';

/** What the reference makes of an archive that ends within the content of a file. */
const TRUNCATED = {
  list: { status: 'killed', stderr: '' },
  mtree: { status: 1, stderr: 'Failed to run synchronizer: Broken pipe\n' },
  stat: { status: 0, stderr: '' },
} as const;

const inputs: readonly Row[] = VERBS.flatMap((verb): Row[] => [
  ...['tree', 'x.catar', 'x.caidx'].map(
    (input): Row => ({
      law: `${verb} of ${input}`,
      args: [verb, input],
      env: UTC,
      both: { status: 0, stderr: '' },
    }),
  ),
  {
    law: `${verb} with INPUT left out is of .`,
    args: [verb],
    shell: 'cd tree; exec "$@" </dev/null',
    both: { status: 0, stderr: '' },
  },
  {
    law: `${verb} - of a folder`,
    args: [verb, '-'],
    shell: 'exec "$@" <tree',
    both: { status: 0, stderr: '' },
  },
  {
    law: `${verb} - of a file is of an archive`,
    args: [verb, '-'],
    shell: 'exec "$@" <x.catar',
    both: { status: 0, stderr: '' },
  },
  {
    law: `${verb} - of an index with --what=archive-index`,
    args: [verb, '--what=archive-index', '-'],
    shell: 'exec "$@" <x.caidx',
    both: { status: 0, stderr: '' },
  },
  {
    law: `${verb} - of a pipe reads an archive (the reference refuses)`,
    args: [verb, '-'],
    shell: 'set -o pipefail; cat x.catar | "$@" | cmp - <("$@" <x.catar) 2>/dev/null',
    ours: { status: 0, stdout: '', stderr: '' },
    reference: { status: 1, stdout: '', stderr: `${REFUSE_PIPE}\n` },
  },
  {
    law: `${verb} - of a pipe reads an index (the reference refuses)`,
    args: [verb, '--what=archive-index', '-'],
    shell: 'set -o pipefail; cat x.caidx | "$@" | cmp - <("$@" <x.caidx) 2>/dev/null',
    ours: { status: 0, stdout: '', stderr: '' },
    reference: { status: 1, stdout: '', stderr: `${REFUSE_PIPE}\n` },
  },
  {
    law: `${verb} refuses a file without a known suffix`,
    args: [verb, 'blob'],
    both: 'Input should be a directory, .catar or .caidx file. Refusing.',
  },
  {
    law: `${verb} refuses a blob index`,
    args: [verb, 'x.caibx'],
    both: 'Input should be a directory, .catar or .caidx file. Refusing.',
  },
  {
    law: `${verb} says what is not there`,
    args: [verb, 'nothing'],
    both: 'Failed to open "nothing": No such file or directory',
  },
  ...['catar', 'caidx'].map(
    (suffix): Row => ({
      law: `${verb} says what ${suffix} is not there`,
      args: [verb, `nothing.${suffix}`],
      both: {
        stdout: '',
        stderr: `Failed to open "nothing.${suffix}": No such file or directory\n`,
      },
      ours: { status: 10 },
      reference: { status: 1 },
    }),
  ),
  {
    law: `${verb} refuses a folder as archive`,
    args: [verb, '--what=archive', 'tree'],
    both: 'Input is a directory, but attempted to list archive or index.',
  },
  {
    law: `${verb} refuses a folder of an index's name`,
    before: 'mkdir d.caidx',
    args: [verb, 'd.caidx'],
    both: 'Input is a directory, but attempted to list archive or index.',
  },
  {
    law: `${verb} refuses a file as folder`,
    args: [verb, '--what=directory', 'x.catar'],
    both: 'Input is a regular file, but attempted to list it as directory.',
  },
  {
    law: `${verb} refuses a fifo`,
    args: [verb, 'fifo'],
    shell: 'exec "$@" <>fifo',
    both: REFUSE_PIPE,
  },
  {
    law: `${verb} refuses the null device on standard input`,
    args: [verb, '-'],
    both: REFUSE_PIPE,
  },
  {
    law: `${verb} refuses a device`,
    args: [verb, '/dev/null'],
    both: REFUSE_PIPE,
  },
  {
    law: `${verb} refuses a path within a folder`,
    args: [verb, 'tree', 'sub'],
    both: 'Subtree path only supported when listing archive or archive index.',
  },
  {
    law: `${verb} of a locator that tells nothing`,
    args: [verb, 'http://localhost:1/x'],
    both: 'Failed to determine what to list. Use --what=archive, archive-index, or directory.',
  },
  {
    law: `${verb} of a truncated archive is an error (the reference may not end)`,
    before: 'head -c 150000 x.catar >y.catar',
    args: [verb, 'y.catar'],
    referenceEndsWithinMs: 2000,
    ours: { status: 14, stdout: /.*/, stderr: /^Failed to run synchronizer: .*y\.catar.*\n$/ },
    reference: TRUNCATED[verb],
  },
  {
    law: `${verb} of an empty archive ends (the reference does not)`,
    before: ': >y.catar',
    args: [verb, 'y.catar'],
    referenceEndsWithinMs: 1000,
    ours: { status: 14, stdout: '', stderr: /^Failed to run synchronizer: .*y\.catar.*\n$/ },
    reference: { status: 'killed', stdout: '', stderr: '' },
  },
  {
    law: `${verb} of something else in an archive's clothes`,
    before: 'cp blob y.catar',
    args: [verb, 'y.catar'],
    both: { stdout: '' },
    ours: { status: 14, stderr: /^Failed to run synchronizer: .*y\.catar.*\n$/ },
    reference: { status: 1, stderr: 'Failed to run synchronizer: Bad message\n' },
  },
]);

const PATHS = [
  'sub',
  '/sub',
  'sub/',
  '//sub//',
  'a',
  'sub/b',
  'sub/a blank',
  'link',
  'empty',
  '',
  '/',
];

const subtrees: readonly Row[] = VERBS.flatMap((verb) =>
  ['x.catar', 'x.caidx'].flatMap((input): Row[] => [
    ...PATHS.map(
      (path): Row => ({
        law: `${verb} of "${path}" in ${input}`,
        args: [verb, input, path],
        env: UTC,
        both: { status: 0, stderr: '' },
      }),
    ),
    ...['nothing', 'sub/nothing', 'su', 'sub/a', 'a/x', 'link/x'].map(
      (path): Row => ({
        law: `${verb} of "${path}", which is not in ${input}`,
        args: [verb, input, path],
        both: NOT_THERE,
      }),
    ),
  ]),
);

const options: readonly Row[] = [
  ...['x.catar', 'x.caidx'].map(
    (input): Row => ({
      law: `list --recursive=no of ${input} shows the root and its children`,
      args: ['list', '--recursive=no', input],
      both: { status: 0, stdout: /^(.* (\.|a|empty|link|sub)\n){5}$/, stderr: '' },
    }),
  ),
  {
    law: 'list --recursive=no of a folder (the reference fails after one line)',
    args: ['list', '--recursive=no', 'tree'],
    ours: { status: 0, stdout: /^(.* (\.|a|empty|link|sub)\n){5}$/, stderr: '' },
    reference: {
      status: 1,
      stdout: /^(.*\n){1,2}$/,
      stderr: 'Failed to seek to next sibling: Inappropriate ioctl for device\n',
    },
  },
  {
    law: 'list --recursive=no of a folder in an archive',
    args: ['list', '--recursive=no', 'x.catar', 'sub'],
    both: { status: 0, stderr: '' },
  },
  ...['mtree', 'stat'].map(
    (verb): Row => ({
      law: `${verb} ignores --recursive=no`,
      args: [verb, '--recursive=no', 'x.caidx'],
      both: { status: 0, stderr: '' },
    }),
  ),
  ...['--with=symlinks', '--without=unix', '--with=2sec-time', '--without=all'].flatMap(
    (option): Row[] => [
      ...VERBS.map(
        (verb): Row => ({
          law: `${verb} ${option} x.caidx`,
          args: [verb, option, 'x.caidx'],
          both: { status: 0, stderr: '' },
        }),
      ),
      ...VERBS.slice(0, 2).map(
        (verb): Row => ({
          law: `${verb} ${option} tree`,
          args: [verb, option, 'tree'],
          both: { status: 0, stderr: '' },
        }),
      ),
    ],
  ),
  {
    law: 'stat --without=unix tree',
    args: ['stat', '--without=unix', 'tree'],
    both: { status: 0 },
  },
  {
    law: 'stat of a folder without extended attributes (the reference fails at its end)',
    args: ['stat', '--with=symlinks', 'tree'],
    ours: {
      status: 0,
      stdout:
        '    File: .\n    Mode: drwxrwxrwx\nFileAttr: ----------\n FATAttr: ---\n  Offset: 0\n',
      stderr: '',
    },
    reference: {
      status: 1,
      stdout: '    File: .\n    Mode: drwxrwxrwx\nFileAttr: ----------\n  Offset: 0\n',
      stderr: 'Failed to enumerate extended attributes: No data available\n',
    },
  },
  ...['--uid-shift=yes', '--uid-range=yes'].flatMap((option): Row[] =>
    ['tree', 'x.caidx'].map((input) => ({
      law: `mtree ${option} ${input}`,
      args: ['mtree', option, input],
      both: { status: 0, stderr: '' },
    })),
  ),
  {
    law: 'mtree --uid-shift=10 x.caidx',
    args: ['mtree', '--uid-shift=10', 'x.caidx'],
    both: { status: 0, stderr: '' },
  },
  {
    law: 'mtree --uid-shift=10 of what belongs to a lower number',
    args: ['mtree', '--uid-shift=10', 'tree'],
    both: { status: 1, stdout: '' },
    ours: { stderr: /^Failed to run synchronizer: tree: .*below the shift 10\n$/ },
    reference: { stderr: 'Failed to run synchronizer: Invalid argument\n' },
  },
  {
    law: 'stat shows local time',
    env: { TZ: 'America/New_York' },
    args: ['stat', 'x.catar', 'a'],
    both: { status: 0, stdout: /Time: 2020-02-02 23:05:06\.789000000\n/ },
  },
  {
    law: 'list of an index needs the chunks of metadata only',
    needs: { commands: ['python3'] },
    args: ['list', '--store=m.castr', 'big.caidx'],
    before: [
      'mkdir many; head -c 4000000 /dev/urandom >many/large; : >many/z',
      'casync make --store=m.castr big.caidx many >/dev/null',
      removeMiddle('big.caidx', 'm.castr'),
    ].join('; '),
    both: { status: 0, stdout: /^.* \.\n.* large\n.* z\n$/, stderr: '' },
  },
  ...VERBS.slice(0, 2).map(
    (verb): Row => ({
      law: `${verb} of folder, archive, index and extracted folder is the same`,
      args: [verb],
      shell: [
        'casync extract x.caidx out',
        '"$@" tree >one',
        'for input in x.catar x.caidx out; do "$@" $input | cmp one - || exit 9; done',
      ].join('; '),
      both: { status: 0, stdout: '', stderr: '' },
    }),
  ),
];

testRows([...inputs, ...subtrees, ...options]);
