/**
 * Section "Deliberate differences" of the contract, as far as no row of a command shows them: what
 * the reference does is asserted beside what ours does instead.
 */
import { type Row, testRows } from './both.ts';

const digests: readonly Row[] = [
  ...['make y.caibx blob', 'digest blob'].map(
    (words): Row => ({
      law: `sha256 is the default digest: ${words}`,
      env: { CASYNC_DIGEST: undefined },
      args: words.split(' '),
      shell: '"$@" </dev/null >d; s=$?; diff -q d <(sha256sum blob | cut -d" " -f1); exit $s',
      both: { status: 0, stderr: '' },
      ours: { stdout: '' },
      reference: { stdout: /differ/ },
    }),
  ),
  ...['make y.caibx blob', 'make y.caidx tree', 'digest blob', 'digest tree'].map(
    (words): Row => ({
      law: `CASYNC_DIGEST=sha512-256 restores the other: ${words}`,
      env: { CASYNC_DIGEST: 'sha512-256' },
      args: words.split(' '),
      after: 'test -e y.caibx && cmp x.caibx y.caibx; test -e y.caidx && cmp x.caidx y.caidx',
      both: { status: 0, stderr: '', after: '' },
    }),
  ),
  ...['sha256', 'sha512-256'].flatMap((name): Row[] =>
    ['make y.caibx blob', 'make y.caidx tree', 'digest blob', 'digest tree'].map((words) => ({
      law: `--digest=${name} is the same in both: ${words}`,
      env: { CASYNC_DIGEST: undefined },
      args: [`--digest=${name}`, ...words.split(' ')],
      after: 'test -e y.caibx && cksum y.caibx; test -e y.caidx && cksum y.caidx',
      both: { status: 0, stderr: '' },
    })),
  ),
];

const FULL = '"$@" </dev/null >/dev/full';

const output: readonly Row[] = ['list tree', 'mtree tree', 'digest tree', 'make y.catar tree'].map(
  (words): Row => ({
    law: `a result that cannot be written is a failure: ${words}`,
    args: words.split(' '),
    shell: FULL,
    both: { stdout: '' },
    ours: { status: 'any failure', stderr: /^.*No space left on device\n$/ },
    reference: { status: 0, stderr: '' },
  }),
);

const reader: readonly Row[] = [
  ...['list tree', 'mtree tree', 'stat tree', 'digest tree', '--help', 'list x.caidx'].map(
    (words): Row => ({
      law: `a reader that has gone before the first word is no failure: ${words}`,
      args: words.split(' '),
      shell: 'set -o pipefail; "$@" </dev/null 2>err | exec true; echo $?; exit 0',
      after: 'cat err',
      both: { status: 0, stdout: '0\n', after: '' },
    }),
  ),
  ...['make - tree', 'extract x.caibx -'].map(
    (words): Row => ({
      law: `a reader that has enough is no failure worth a message: ${words}`,
      args: words.split(' '),
      shell: '"$@" </dev/null 2>err | head -c 10 >/dev/null; exit 0',
      after: 'cat err',
      ours: { status: 0, stdout: '', after: '' },
      reference: {
        status: 0,
        stdout: '',
        after: /^(Failed to run synchronizer: Broken pipe|Output is neither.*|)\n?$/,
      },
    }),
  ),
];

const rest: readonly Row[] = [
  {
    law: 'no input with -v make',
    before: ': >none',
    args: ['-v', 'make', 'y.caibx', 'none'],
    ours: { status: 0, stdout: /^[0-9a-f]{64}\n$/, stderr: /^Number of chunks: 0$/m },
    // It dies of a division by zero (SIGFPE).
    reference: { status: 136, stdout: '', stderr: /Number of chunks: 0/ },
    shell: '"$@" </dev/null; exit $?',
  },
  {
    law: '--exclude-file=no is honoured',
    before: 'echo a >tree/.caexclude',
    args: ['make', '--exclude-file=no', 'y.catar', 'tree'],
    after: 'casync list y.catar | grep -c " a$"',
    both: { status: 0, stderr: '' },
    ours: { after: '1\n', stdout: /^[0-9a-f]{64}\n$/ },
    reference: { after: '0\n', stdout: /^[0-9a-f]{64}\n$/ },
  },
  {
    law: '--exclude-file=yes is the same in both',
    before: 'echo a >tree/.caexclude; touch -d @9 tree/.caexclude tree',
    args: ['make', '--exclude-file=yes', 'y.catar', 'tree'],
    after: 'cksum y.catar',
    both: { status: 0, stderr: '' },
  },
  {
    law: 'a user name that this machine lacks is named, with the way out',
    needs: { root: true, commands: ['unshare', 'mount'] },
    before: [
      'cp /etc/passwd p; echo "ghost:x:4242:4242::/:/bin/sh" >>p; chown 4242 tree/a',
      "unshare -m sh -ec 'mount --bind p /etc/passwd; casync make g.catar tree' >/dev/null",
    ].join('; '),
    args: ['extract', 'g.catar', 'out'],
    both: { stdout: '' },
    ours: {
      status: 'any failure',
      stderr: /^Failed to run synchronizer: .*a: .*ghost.*--without=user-names.*\n$/,
    },
    reference: { status: 1, stderr: 'Failed to run synchronizer: No such process\n' },
  },
  {
    law: 'the way out leads out',
    needs: { root: true, commands: ['unshare', 'mount'] },
    before: [
      'cp /etc/passwd p; echo "ghost:x:4242:4242::/:/bin/sh" >>p; chown 4242 tree/a',
      "unshare -m sh -ec 'mount --bind p /etc/passwd; casync make g.catar tree' >/dev/null",
    ].join('; '),
    args: ['extract', '--without=user-names', 'g.catar', 'out'],
    after: 'stat -c %u out/a',
    both: { status: 0, stdout: '', stderr: '', after: '4242\n' },
  },
  {
    law: 'scratch space is bounded',
    needs: { root: true, commands: ['unshare', 'mount'] },
    before:
      'mkdir scratch; head -c 8000000 /dev/urandom >big; casync make big.caibx big >/dev/null',
    args: ['extract', '--seed=big', 'big.caibx', 'y'],
    shell: [
      'export TMPDIR="$PWD/scratch"',
      'exec unshare -m sh -c \'mount -t tmpfs -o size=64k,nr_inodes=16 none scratch && exec "$@"\' sh "$@" </dev/null',
    ].join('; '),
    after: 'cmp big y 2>&1',
    ours: { status: 0, stdout: '', stderr: '', after: '' },
    reference: { status: 1, stdout: '', stderr: /^Failed to run synchronizer: /, after: /cmp/ },
  },
  {
    law: 'no progress sign goes into files',
    before: 'truncate -s 300M long',
    args: ['-v', 'digest', 'long'],
    shell: '"$@" </dev/null >/dev/null 2>log; grep -c $\'\\b\' log',
    both: { stderr: '' },
    ours: { status: 1, stdout: '0\n' },
    reference: { status: 0, stdout: /^[1-9]/ },
  },
];

testRows([...digests, ...output, ...reader, ...rest]);
