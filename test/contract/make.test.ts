/** The command make: each output with each input, and every message (spec/command-line.md). */
import { AS_ORDINARY_USER, ordinaryUserNeeds } from '../helpers/ordinary-user.ts';
import { type Row, testRows } from './both.ts';

const DIGEST = /^[0-9a-f]{64}\n$/;
const NO_KIND_OF_BLOB =
  'Input is a neither a directory, a regular file, nor a block device. Refusing.';
const NO_FOLDER =
  'Input is a regular file or block device, but attempted to make a directory archive. Refusing.';
const A_FOLDER = 'Input is a directory, but attempted to make blob index. Refusing.';

const outputs: readonly Row[] = [
  {
    law: 'x.catar, folder: archive',
    args: ['make', 'y.catar', 'tree'],
    after: 'cmp x.catar y.catar; ls',
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
  {
    law: 'x.caidx, folder: chunks and index',
    args: ['make', 'n/y.caidx', 'tree'],
    before: 'mkdir n',
    after: 'cmp x.caidx n/y.caidx; cd n; find | sort; casync digest y.caidx',
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
  {
    law: 'x.caibx, file: chunks and index',
    args: ['make', 'n/y.caibx', 'blob'],
    before: 'mkdir n',
    after: 'cmp x.caibx n/y.caibx; cd n; find | sort; casync digest y.caibx',
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
  {
    law: 'x.caibx, block device: chunks and index',
    needs: { root: true, commands: ['losetup'] },
    args: ['make', 'y.caibx', 'device'],
    before: 'truncate -s 700416 blob; ln -s $(losetup --show -f blob) device',
    after: 'losetup -d $(readlink device); stat -c %s y.caibx; casync digest y.caibx',
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
  {
    law: '-, folder: archive to standard output, nothing else',
    args: ['make', '-', 'tree'],
    shell: 'exec "$@" </dev/null >y',
    after: 'cmp x.catar y',
    both: { status: 0, stdout: '', stderr: '', after: '' },
  },
  {
    law: '-, folder: into a pipe',
    args: ['make', '-', 'tree'],
    shell: 'set -o pipefail; "$@" </dev/null | cat >y',
    after: 'cmp x.catar y',
    both: { status: 0, stdout: '', stderr: '', after: '' },
  },
  {
    law: '-, file: chunks, index to standard output (the reference appends the digest)',
    args: ['make', '-', 'blob'],
    shell: 'exec "$@" </dev/null >y',
    after: 'cmp x.caibx y 2>&1; tail -c 65 y | tr -dc "0-9a-f\\n" | wc -c',
    both: { status: 0, stdout: '', stderr: '' },
    ours: { after: /^(?!65)\d+\n$/ },
    reference: { after: /EOF on x.caibx.*\n65\n$/ },
  },
  {
    law: '--what=archive-index to -: index to standard output',
    args: ['make', '--what=archive-index', '-', 'tree'],
    shell: 'exec "$@" </dev/null >y',
    after: 'cmp x.caidx y 2>&1',
    both: { status: 0, stdout: '', stderr: '' },
    ours: { after: '' },
    reference: { after: /EOF on x.caidx/ },
  },
  {
    law: 'no words: standard input, a folder, as an archive to standard output',
    args: ['make'],
    shell: 'exec "$@" <tree >y',
    after: 'cmp x.catar y',
    both: { status: 0, stdout: '', stderr: '', after: '' },
  },
  {
    law: 'no words: standard input, a file, as an index to standard output',
    args: ['make'],
    shell: '"$@" <blob >y',
    after: 'head -c $(stat -c %s x.caibx) y | cmp x.caibx',
    both: { status: 0, stdout: '', stderr: '', after: '' },
  },
];

const inputs: readonly Row[] = [
  {
    law: 'INPUT left out is . for archives',
    args: ['make', '../y.catar'],
    shell: 'cd tree; exec "$@" </dev/null',
    after: 'cmp x.catar y.catar',
    both: { status: 0, stdout: DIGEST, stderr: '', after: '' },
  },
  {
    law: 'INPUT left out is . for archive indexes',
    args: ['make', '../y.caidx'],
    shell: 'cd tree; exec "$@" </dev/null',
    after: 'cmp x.caidx y.caidx',
    both: { status: 0, stdout: DIGEST, stderr: '', after: '' },
  },
  {
    law: 'INPUT left out is standard input for blobs',
    args: ['make', 'y.caibx'],
    shell: 'exec "$@" <blob',
    after: 'cmp x.caibx y.caibx',
    both: { status: 0, stdout: DIGEST, stderr: '', after: '' },
  },
  {
    law: '- is standard input: a file',
    args: ['make', 'y.caibx', '-'],
    shell: 'exec "$@" <blob',
    after: 'cmp x.caibx y.caibx',
    both: { status: 0, stdout: DIGEST, stderr: '', after: '' },
  },
  {
    law: '- is standard input: a folder',
    args: ['make', 'y.caidx', '-'],
    shell: 'exec "$@" <tree',
    after: 'cmp x.caidx y.caidx',
    both: { status: 0, stdout: DIGEST, stderr: '', after: '' },
  },
  {
    law: 'a pipe on standard input is read to its end (the reference refuses)',
    args: ['make', 'y.caibx', '-'],
    shell: 'set -o pipefail; cat blob | "$@"',
    after: 'cmp x.caibx y.caibx 2>&1',
    ours: { status: 0, stdout: DIGEST, stderr: '', after: '' },
    reference: { status: 1, stdout: '', stderr: `${NO_KIND_OF_BLOB}\n`, after: /No such file/ },
  },
  {
    law: 'the null device on standard input is no input',
    before: 'echo old >y.caibx',
    args: ['make', 'y.caibx'],
    after: 'cat y.caibx',
    both: { status: 1, stdout: '', stderr: `${NO_KIND_OF_BLOB}\n`, after: 'old\n' },
  },
  {
    law: 'closed standard input is no input',
    args: ['make', 'y.caibx'],
    shell: 'exec "$@" <&-',
    both: { status: 1, stdout: '' },
    // Node has opened the null device in its place.
    ours: { stderr: `${NO_KIND_OF_BLOB}\n` },
    reference: { stderr: 'Failed to stat input: Bad file descriptor\n' },
  },
  {
    law: 'a fifo by name is refused and not waited for',
    args: ['make', 'y.caibx', 'fifo'],
    shell: 'exec "$@" <>fifo',
    both: NO_KIND_OF_BLOB,
  },
  {
    law: 'a character device by name is refused',
    args: ['make', 'y.caibx', '/dev/zero'],
    both: NO_KIND_OF_BLOB,
  },
  {
    law: 'a socket by name is refused',
    before: 'python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'socket\')"',
    needs: { commands: ['python3'] },
    args: ['make', 'y.caibx', 'socket'],
    both: 'Failed to open socket: No such device or address',
  },
  {
    law: 'a symbolic link by name is followed',
    before: 'ln -s blob l; ln -s tree d',
    args: ['make', 'y.caibx', 'l'],
    after: 'cmp x.caibx y.caibx',
    both: { status: 0, after: '' },
  },
  {
    law: 'a symbolic link to a folder is followed',
    before: 'ln -s tree d',
    args: ['make', 'y.caidx', 'd'],
    after: 'cmp x.caidx y.caidx',
    both: { status: 0, after: '' },
  },
];

const messages: readonly Row[] = [
  {
    law: 'a folder is no blob',
    args: ['make', 'y.caibx', 'tree'],
    both: A_FOLDER,
  },
  {
    law: 'a folder on standard input is no blob',
    args: ['make', 'y.caibx'],
    shell: 'exec "$@" <tree',
    both: A_FOLDER,
  },
  {
    law: 'a file is no folder: archive',
    args: ['make', 'y.catar', 'blob'],
    both: NO_FOLDER,
  },
  {
    law: 'a file is no folder: index',
    args: ['make', 'y.caidx', 'blob'],
    both: NO_FOLDER,
  },
  {
    law: 'input that is not there',
    args: ['make', 'y.caidx', 'nothing'],
    both: 'Failed to open nothing: No such file or directory',
  },
  {
    law: 'input below a file',
    args: ['make', 'y.caidx', 'blob/x'],
    both: 'Failed to open blob/x: Not a directory',
  },
  {
    law: 'input that may not be read',
    needs: ordinaryUserNeeds(),
    before: 'chmod 0 blob; chmod 777 . ..',
    args: ['make', '--store=z.castr', 'y.caibx', 'blob'],
    shell: `exec ${AS_ORDINARY_USER.join(' ')} "$@" </dev/null`,
    both: { stdout: '', stderr: 'Failed to open blob: Permission denied\n' },
    ours: { status: 16 },
    reference: { status: 1 },
  },
  {
    law: 'a cache for a blob',
    args: ['make', '--cache=c', 'y.caibx', 'blob'],
    after: 'ls',
    both: 'Caching only supported when archiving files trees.',
  },
  {
    law: 'a cache beside input that has no name',
    args: ['make', '-c', 'y.caidx', '-'],
    shell: 'exec "$@" <tree',
    both: "Can't automatically derive cache path if no input path is given.",
  },
];

/** What is said when the work itself fails: the reason stays, the thing is named before it. */
const failures: readonly Row[] = [
  {
    law: 'a store without a name (it is not the current folder)',
    args: ['make', '--store=', 'y.caibx', 'short'],
    after: 'ls',
    both: 'Failed to set store: Invalid argument',
  },
  {
    law: 'an output in a folder that is not there',
    args: ['make', 'nowhere/y.caidx', '--store=z.castr', 'tree'],
    both: { stdout: '' },
    ours: {
      status: 'any failure',
      stderr: /^Failed to run synchronizer: .*nowhere\/.*: No such file or directory\n$/,
    },
    reference: { status: 1, stderr: 'Failed to run synchronizer: No such file or directory\n' },
  },
  {
    law: 'a store in a folder that is not there',
    args: ['make', '--store=nowhere/z.castr', 'y.caidx', 'tree'],
    after: 'ls',
    both: { stdout: '' },
    ours: {
      status: 'any failure',
      stderr: /^Failed to run synchronizer: .*nowhere\/z.castr.*: No such file or directory\n$/,
    },
    reference: { status: 1, stderr: /No such file or directory\n$/ },
  },
  {
    law: 'a store that is a file',
    before: 'echo > z.castr',
    args: ['make', '--store=z.castr', 'y.caidx', 'tree'],
    after: 'ls',
    both: { stdout: '' },
    ours: {
      status: 'any failure',
      stderr: /^Failed to run synchronizer: .*z.castr.*: Not a directory\n$/,
    },
    reference: { status: 1, stderr: /Not a directory\n$/ },
  },
  {
    law: 'an exclusion file with a rule that leads out',
    before: 'echo ../x > tree/.caexclude',
    args: ['make', 'y.catar', 'tree'],
    after: 'ls -A',
    both: { stdout: '' },
    ours: {
      status: 'any failure',
      stderr: /^Failed to run synchronizer: tree: exclude file line 1.*\n$/,
    },
    reference: { status: 1, stderr: 'Failed to run synchronizer: Invalid argument\n' },
  },
  {
    law: 'chunks whose largest size is below the window',
    args: ['make', '--chunk-size=10:20:40', 'y.caibx', 'blob'],
    after: 'ls -A',
    both: { stdout: '' },
    ours: { status: 'any failure', stderr: /maximum chunk size of 40\n$/ },
    reference: { status: 1, stderr: 'Failed to run synchronizer: Invalid argument\n' },
  },
  {
    law: 'no remote output over HTTP, and the error says so',
    args: ['make', 'http://localhost:1/y.catar', 'tree'],
    both: { stdout: '' },
    ours: { status: 'any failure', stderr: /http:\/\/localhost:1\/y.catar/ },
    reference: { status: 1, stderr: /.+/ },
  },
];

const results: readonly Row[] = [
  {
    law: 'with a cache the digest is unknown and left out',
    args: ['make', '--cache=c', 'y.caidx', 'tree'],
    after: 'cmp x.caidx y.caidx; ls; test -d c',
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'with a cache beside the input the digest is left out, too',
    args: ['make', '-c', 'y.caidx', 'tree'],
    after: 'casync list y.caidx | grep -v "^d.* \\.$"; test -d tree/.cacac',
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'the store is made if it is missing',
    args: ['make', '--store=z.castr', 'y.caibx', 'short'],
    after: 'find z.castr | sort',
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
  {
    law: 'CASYNC_STORE is taken where there is no --store',
    env: { CASYNC_STORE: 'z.castr' },
    args: ['make', 'y.caibx', 'short'],
    after: 'find z.castr | sort',
    both: { status: 0, stdout: DIGEST, stderr: '', after: /cacnk/ },
  },
  {
    law: '--store wins over CASYNC_STORE',
    env: { CASYNC_STORE: 'other.castr' },
    args: ['make', '--store=z.castr', 'y.caibx', 'short'],
    after: 'ls',
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
  {
    law: 'the store of - is in the current folder',
    args: ['make', '-', '../short'],
    shell: 'cd tree/sub/..; mkdir d; cd d; "$@" <&- </dev/null >/dev/null; exit 0',
    before: 'cp short tree',
    after: 'find tree/d | sort',
    both: { status: 0, stdout: '', stderr: '', after: /default.castr.*cacnk/s },
  },
  {
    law: '--extra-store and --seed are accepted and ignored by make',
    args: ['make', '--extra-store=nothing', '--seed=nothing', 'y.caibx', 'short'],
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
  {
    law: 'chunks that are there are not written again, whatever they hold',
    args: ['make', 'y.caibx', 'blob'],
    before: 'for f in default.castr/*/*; do chmod 644 $f; echo damaged > $f; done',
    after: 'cat default.castr/*/* | sort | uniq -c',
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
  {
    law: 'the digest of an archive is the plain SHA of its bytes',
    args: ['make', 'y.catar', 'tree'],
    env: { CASYNC_DIGEST: undefined },
    shell:
      'set -e; "$@" --digest=sha256 | cut -d" " -f1 >d; sha256sum y.catar | cut -d" " -f1 | cmp - d',
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'two runs into the same store and output leave both complete',
    args: ['make', 'y.caidx', 'tree', '--store=z.castr'],
    shell: '"$@" </dev/null & "$@" </dev/null; one=$?; wait $! && exit $one',
    after:
      'cmp x.caidx y.caidx; ls -A; find z.castr -type f | wc -l; casync digest --store=z.castr y.caidx',
    both: { status: 0, stdout: /^([0-9a-f]{64}\n)\1$/, stderr: '' },
  },
];

testRows([...outputs, ...inputs, ...messages, ...failures, ...results]);
