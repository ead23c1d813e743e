/** Section "Files" of the contract: names, modes and places of everything that is written. */
import { type Row, testRows } from './both.ts';

const OK = { status: 0, stderr: '' } as const;
const MODES = "find y* *.castr -printf '%f %M\\n' | sort";

/** Modes of outputs follow the input and the umask. */
const modes: readonly Row[] = ['022', '077', '002', '000'].flatMap((umask): Row[] => [
  ...['755', '700', '500', '777', '2775'].map(
    (mode): Row => ({
      law: `umask ${umask}: archive of a folder ${mode}`,
      before: `chmod ${mode} tree`,
      args: ['make', 'y.catar', 'tree'],
      shell: `umask ${umask}; exec "$@" </dev/null`,
      after: 'stat -c %A y.catar',
      both: OK,
    }),
  ),
  ...['644', '600', '444', '755', '666', '4711'].map(
    (mode): Row => ({
      law: `umask ${umask}: index, store and chunks of a file ${mode}`,
      before: `chmod ${mode} short`,
      args: ['make', '--store=z.castr', 'y.caibx', 'short'],
      shell: `umask ${umask}; exec "$@" </dev/null`,
      after: MODES,
      both: OK,
    }),
  ),
  {
    law: `umask ${umask}: extracted blob`,
    args: ['extract', 'x.caibx', 'y'],
    shell: `umask ${umask}; exec "$@" </dev/null`,
    after: 'stat -c %A y',
    both: OK,
  },
  {
    law: `umask ${umask}: extracted tree without permissions`,
    args: ['extract', '--with=symlinks', 'x.caidx', 'y'],
    shell: `umask ${umask}; exec "$@" </dev/null`,
    after: "find y -name a -prune -o -printf '%P %M\\n' | sort",
    both: OK,
  },
]);

/** Shows what was created and renamed, with the random part of names as 16 digits. */
const TRACE = (output: string): string =>
  `grep -ho '"[^"]*\\.#${output}[0-9a-f]*"[^"]*"*[^"]*' trace* | grep -v ENOENT | sed -E 's/[0-9a-f]{16}/DIGITS/; s/.*(\\.#[^"]*)".*/\\1/' | sort -u`;
const STRACE = 'strace -f -o trace -e trace=openat,rename,renameat,renameat2,unlink,unlinkat "$@"';

const names: readonly Row[] = [
  ...['y.caibx blob', 'y.caidx tree', 'y.catar tree'].map(
    (words): Row => ({
      law: `make ${words} writes under .#NAME and 16 digits`,
      needs: { commands: ['strace'] },
      args: ['make', ...words.split(' ')],
      shell: `${STRACE} </dev/null`,
      after: TRACE(words.split(' ')[0]),
      both: { ...OK, after: `.#${words.split(' ')[0]}DIGITS\n` },
    }),
  ),
  {
    law: 'extract to a new name writes under .#NAME and 16 digits',
    needs: { commands: ['strace'] },
    args: ['extract', 'x.caibx', 'y'],
    shell: `${STRACE} </dev/null`,
    after: TRACE('y'),
    both: { ...OK, after: '.#yDIGITS\n' },
  },
  {
    law: 'nothing is left of a failed make',
    before: 'mkdir -p tree/z; echo ../x >tree/z/.caexclude',
    args: ['make', 'y.caidx', 'tree'],
    after: 'ls -A',
    both: { stdout: '' },
    ours: { status: 'any failure', stderr: /^Failed to run synchronizer: / },
    reference: { status: 1, stderr: /^Failed to run synchronizer: / },
  },
  {
    law: 'an older output stays when make fails',
    before: 'mkdir -p tree/z; echo ../x >tree/z/.caexclude; echo old >y.caidx',
    args: ['make', 'y.caidx', 'tree'],
    after: 'cat y.caidx',
    both: { stdout: '', after: 'old\n' },
    ours: { status: 'any failure', stderr: /^Failed to run synchronizer: / },
    reference: { status: 1, stderr: /^Failed to run synchronizer: / },
  },
  {
    law: 'nothing is left of a failed extraction to a new name',
    args: ['extract', '--store=none.castr', 'x.caibx', 'y'],
    after: 'ls -A',
    both: { stdout: '' },
    ours: { status: 12, stderr: /^Failed to run synchronizer: / },
    reference: { status: 1, stderr: /^Failed to run synchronizer: / },
  },
  {
    law: 'an older output is replaced, whatever its mode and links',
    before: 'echo old >y.caibx; ln y.caibx other; chmod 0 y.caibx',
    args: ['make', 'y.caibx', 'blob'],
    after: 'cmp x.caibx y.caibx; stat -c "%A %h" y.caibx; cat other',
    both: { ...OK, after: '-rw-r--r-- 1\nold\n' },
  },
  {
    law: 'a link at the output is replaced, not followed',
    before: 'echo old >other; ln -s other y.caibx',
    args: ['make', 'y.caibx', 'blob'],
    after: 'cmp x.caibx y.caibx; stat -c "%A %h" y.caibx; cat other',
    both: { ...OK, after: '-rw-r--r-- 1\nold\n' },
  },
];

/** Parents are not made; last components are. */
const parents: readonly Row[] = [
  ...[
    ['make', 'no/y.caibx', 'short', '--store=z.castr'],
    ['make', '--store=no/z.castr', 'y.caibx', 'short'],
    ['extract', 'x.caibx', 'no/y'],
    ['extract', 'x.caidx', 'no/y'],
  ].map(
    (args): Row => ({
      law: `no parent folder is made: ${args.join(' ')}`,
      args,
      after: 'ls no 2>&1',
      both: { stdout: '', after: "ls: cannot access 'no': No such file or directory\n" },
      ours: { status: 'any failure', stderr: /No such file or directory\n$/ },
      reference: { status: 1, stderr: /No such file or directory\n$/ },
    }),
  ),
  {
    law: 'no parent folder is made for a cache',
    args: ['make', '--cache=no/c', 'y.caidx', 'tree'],
    after: 'ls no 2>&1',
    both: { stdout: '', after: "ls: cannot access 'no': No such file or directory\n" },
    ours: { status: 'any failure', stderr: /No such file or directory\n$/ },
    reference: { status: 1, stderr: /No such file or directory\n$/ },
  },
  {
    law: 'the last component of a store is made',
    before: 'mkdir d',
    args: ['make', '--store=d/z.castr/', 'y.caibx', 'short'],
    after: 'find d | sort',
    both: OK,
  },
  {
    law: 'the last component of a target is made',
    before: 'mkdir d',
    args: ['extract', 'x.caidx', 'd/out/'],
    after: 'find d | sort; diff -r d/out tree',
    both: OK,
  },
  {
    law: 'the last component of a cache is made',
    before: 'mkdir d',
    args: ['make', '--cache=d/c', 'y.caidx', 'tree'],
    after: 'test -d d/c && stat -c %A d/c',
    both: { ...OK, stdout: '' },
  },
];

const scratch: readonly Row[] = [
  ...['x.caibx y --seed=blob', 'x.caidx out --seed=tree', 'x.caibx y'].map(
    (words): Row => ({
      law: `scratch folders are gone after extract ${words}`,
      before: 'mkdir scratch',
      env: { TMPDIR: undefined },
      args: ['extract', ...words.split(' ')],
      shell: 'export TMPDIR="$PWD/scratch"; exec "$@" </dev/null',
      after: 'ls -A scratch',
      both: { ...OK, stdout: '', after: '' },
    }),
  ),
  {
    law: 'a TMPDIR that is not there is passed over',
    args: ['extract', '--seed=blob', 'x.caibx', 'y'],
    env: { TMPDIR: '/nonexistent' },
    after: 'cmp blob y',
    both: { ...OK, stdout: '', after: '' },
  },
];

const existing: readonly Row[] = [
  {
    law: 'a shorter file becomes the blob, its mode stays',
    before: 'echo short >y; chmod 640 y',
    args: ['extract', '--seed-output=no', 'x.caibx', 'y'],
    after: 'cmp blob y; stat -c %A y',
    both: { ...OK, stdout: '', after: '-rw-r-----\n' },
  },
  {
    law: 'a longer file is cut to the exact length (the reference leaves its end)',
    before: 'cat blob short >y; chmod 640 y',
    args: ['extract', '--seed-output=no', 'x.caibx', 'y'],
    after: 'cmp blob y 2>&1; stat -c %A y',
    both: { ...OK, stdout: '' },
    ours: { after: '-rw-r-----\n' },
    reference: { after: /EOF on blob.*\n-rw-r-----\n$/ },
  },
  {
    law: 'a file becomes the blob although it is the seed, too (the reference fails)',
    before: '(head -c 7000 short; tail -c +100 blob) >y',
    args: ['extract', 'x.caibx', 'y'],
    after: 'cmp blob y 2>&1',
    both: { stdout: '' },
    ours: { status: 0, stderr: '', after: '' },
    reference: {
      status: 1,
      stderr: 'Failed to run synchronizer: Stale file handle\n',
      after: /.*/,
    },
  },
  {
    law: 'a tree becomes a newer one',
    before: 'cp -a tree out; echo more >>out/sub/b; rm out/a; mkdir out/a; echo x >out/new',
    args: ['extract', 'x.caidx', 'out'],
    after: "find out -printf '%P %M %T@ %l\\n' | sort; diff -r tree out",
    both: { ...OK, stdout: '' },
  },
];

testRows([...modes, ...names, ...parents, ...scratch, ...existing]);
