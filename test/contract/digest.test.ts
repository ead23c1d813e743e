/** The command digest: what of each input is hashed, and every message (spec/command-line.md). */
import { type Row, testRows } from './both.ts';

const DIGEST = /^[0-9a-f]{64}\n$/;
const NOT_READ = 'Input is a neither a directory, a regular file, nor a block device. Refusing.';
const A_FOLDER = 'Input is a directory, but attempted to list as blob. Refusing.';
const NO_TREE =
  'Subtree path only supported when calculating message digest of archive or archive index.';
const FINE = { status: 0, stdout: DIGEST, stderr: '' } as const;

const inputs: readonly Row[] = [
  ...['tree', 'blob', 'x.catar', 'x.caidx', 'x.caibx'].map(
    (input): Row => ({ law: `digest of ${input}`, args: ['digest', input], both: FINE }),
  ),
  {
    law: 'INPUT left out is .',
    args: ['digest'],
    shell: 'cd tree; exec "$@" </dev/null',
    both: FINE,
  },
  { law: '- is a folder', args: ['digest', '-'], shell: 'exec "$@" <tree', both: FINE },
  { law: '- is a file: blob', args: ['digest', '-'], shell: 'exec "$@" <blob', both: FINE },
  {
    law: '- is a file: index with --what=blob-index',
    args: ['digest', '--what=blob-index', '-'],
    shell: 'exec "$@" <x.caibx',
    both: FINE,
  },
  {
    law: '- is a file: archive with --what=archive (the reference refuses)',
    args: ['digest', '--what=archive', '-'],
    shell: 'exec "$@" <x.catar',
    ours: FINE,
    reference: {
      status: 1,
      stdout: '',
      stderr: 'Failed to set sync input: Invalid argument\n',
    },
  },
  {
    law: 'a pipe as blob (the reference refuses)',
    args: ['digest', '-'],
    shell: 'cat blob | "$@"',
    ours: FINE,
    reference: { status: 1, stdout: '', stderr: `${NOT_READ}\n` },
  },
  {
    law: 'a pipe as archive (the reference refuses)',
    args: ['digest', '--what=archive', '-'],
    shell: 'cat x.catar | "$@"',
    ours: FINE,
    reference: { status: 1, stdout: '', stderr: `${NOT_READ}\n` },
  },
  {
    law: 'a block device is a blob',
    needs: { root: true, commands: ['losetup'] },
    before: 'truncate -s 700416 blob; ln -s $(losetup --show -f blob) device',
    args: ['digest', 'device'],
    after: 'losetup -d $(readlink device)',
    both: FINE,
  },
  {
    law: 'a file with another suffix is a blob',
    before: 'cp x.catar y.tar',
    args: ['digest', 'y.tar'],
    both: FINE,
  },
  {
    law: 'the digest of a blob index is that of the blob by --digest (reference: always SHA-512/256)',
    before: 'casync make --store=z.castr --digest=sha256 y.caibx blob >/dev/null',
    args: ['digest', '--digest=sha256', '--store=z.castr', 'y.caibx'],
    shell:
      '"$@" >d; s=$?; diff <(sha256sum blob | cut -d" " -f1) d >/dev/null || echo other; exit $s',
    ours: { status: 0, stdout: '', stderr: '' },
    reference: { status: 0, stdout: 'other\n', stderr: '' },
  },
  {
    law: 'an archive has its own digest, whatever is asked for',
    args: ['digest', '--digest=sha256', 'x.catar'],
    both: FINE,
  },
  {
    law: 'the digest of an archive is the plain SHA of its bytes',
    before: 'casync make --digest=sha256 y.catar tree >/dev/null',
    args: ['digest', 'y.catar'],
    shell: 'set -e; "$@" >d; sha256sum y.catar | cut -d" " -f1 | cmp - d',
    both: { status: 0, stdout: '', stderr: '' },
  },
];

const subtrees: readonly Row[] = ['x.catar', 'x.caidx'].flatMap((input): Row[] => [
  ...['sub', '/sub', 'sub/', 'a', 'sub/b', 'sub/a blank', 'empty', '', '/'].map(
    (path): Row => ({
      law: `digest of "${path}" in ${input}`,
      args: ['digest', input, path],
      both: FINE,
    }),
  ),
  {
    law: `digest of "sub" in ${input} is that of the folder`,
    args: ['digest', input, 'sub'],
    shell: 'set -e; "$@" >d; casync digest tree/sub | cmp - d',
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: `digest of a link in ${input}`,
    args: ['digest', input, 'link'],
    both: { status: 1, stdout: '' },
    ours: { stderr: 'Path link does not refer to a file or directory\n' },
    reference: {
      stderr: 'Path link does not refer to a file or directory: No such file or directory\n',
    },
  },
  {
    law: `digest of what is not in ${input}`,
    args: ['digest', input, 'nothing'],
    both: 'Seek path not available in archive.',
  },
]);

const messages: readonly Row[] = [
  {
    law: 'input that is not there',
    args: ['digest', 'nothing'],
    both: 'Failed to open nothing: No such file or directory',
  },
  ...['catar', 'caidx', 'caibx'].map(
    (suffix): Row => ({
      law: `${suffix} that is not there`,
      args: ['digest', `nothing.${suffix}`],
      both: { stdout: '', stderr: `Failed to open nothing.${suffix}: No such file or directory\n` },
      ours: { status: 10 },
      reference: { status: 1 },
    }),
  ),
  { law: 'a folder as blob', args: ['digest', '--what=blob', 'tree'], both: A_FOLDER },
  { law: 'a folder as blob index', args: ['digest', '--what=blob-index', 'tree'], both: A_FOLDER },
  { law: 'a folder as archive', args: ['digest', '--what=archive', 'tree'], both: A_FOLDER },
  {
    law: "a folder of an index's name",
    before: 'mkdir d.caidx',
    args: ['digest', 'd.caidx'],
    both: A_FOLDER,
  },
  { law: 'the null device on standard input', args: ['digest', '-'], both: NOT_READ },
  { law: 'a character device', args: ['digest', '/dev/null'], both: NOT_READ },
  {
    law: 'a fifo',
    args: ['digest', 'fifo'],
    shell: 'exec "$@" <>fifo',
    both: NOT_READ,
  },
  { law: 'a path within a folder', args: ['digest', 'tree', 'sub'], both: NO_TREE },
  { law: 'a path within a blob index', args: ['digest', 'x.caibx', 'sub'], both: NO_TREE },
  {
    law: 'a path within a blob',
    args: ['digest', '--what=blob', 'blob', 'sub'],
    both: NO_TREE,
  },
  {
    law: 'a URL that tells nothing',
    args: ['digest', 'http://localhost:1/x'],
    both: { status: 1, stdout: '', stderr: /^Failed to determine what to calculate digest of\./ },
  },
  {
    law: 'a file as folder (the text of the reference is about something else)',
    args: ['digest', '--what=directory', 'blob'],
    both: { status: 1, stdout: '' },
    ours: { stderr: 'Input is a regular file, but attempted to list it as directory.\n' },
    reference: {
      stderr:
        'Input is not a regular file or block device, but attempted to list as one. Refusing.\n',
    },
  },
  {
    law: 'a truncated archive',
    before: 'head -c 150000 x.catar >y.catar',
    args: ['digest', 'y.catar'],
    both: { stdout: '' },
    ours: { status: 14, stderr: /^Failed to run synchronizer: .*y\.catar.*\n$/ },
    reference: { status: 1, stderr: 'Failed to run synchronizer: Broken pipe\n' },
  },
  {
    law: 'a chunk that is nowhere',
    args: ['digest', '--store=none.castr', 'x.caibx'],
    both: { stdout: '' },
    ours: {
      status: 12,
      stderr: /^Failed to run synchronizer: none\.castr: chunk [0-9a-f]{64}: .*\n$/,
    },
    reference: { status: 1, stderr: 'Failed to run synchronizer: No such file or directory\n' },
  },
];

testRows([...inputs, ...subtrees, ...messages]);
