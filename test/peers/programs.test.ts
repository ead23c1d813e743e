/** The command lines of programs that are known to run casync, each beside the reference. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { type Row, sceneCopy, testRows } from '../contract/both.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC } from '../helpers/run-casync.ts';

const DONE = { status: 0, stdout: '', stderr: '' } as const;
const DIGEST = /^[0-9a-f]{64}\n$/;
const SHOW = "find out -printf '%P %M %U:%G %T@ %l\\n' | sort; diff -r tree out";

/** RAUC's own words; rauc.test.ts runs RAUC itself. */
const rauc: readonly Row[] = [
  {
    law: 'RAUC: extraction of an index to standard output, opened on the device',
    needs: { root: true, commands: ['losetup'] },
    before: 'truncate -s 2M disk; ln -s $(losetup --show -f disk) device',
    args: ['extract', '--store', 'default.castr', '--seed-output=no', 'x.caibx', '-'],
    shell: 'exec "$@" </dev/null >$(readlink device)',
    after: 'sync; cmp -n 600000 blob disk; losetup -d $(readlink device)',
    both: { ...DONE, after: '' },
  },
];

const tiu: readonly Row[] = [[], ['--verbose']].map((verbose) => ({
  law: `tiu: installation ${verbose.join(' ')}`,
  before: 'mkdir out; cp -a tree old; echo older >>old/sub/b',
  args: [
    ...['extract', ...verbose, '--seed', 'old', '--store', 'default.castr'],
    ...['--seed-output=no', 'x.caidx', 'out'],
  ],
  after: SHOW,
  both: { status: 0, stdout: '' },
  ...(verbose.length === 0
    ? {}
    : {
        ours: { stderr: /^Chunk requests fulfilled from local seed: \d+ \(\d+%\)$/m },
        reference: { stderr: /^Chunk requests fulfilled from local seed: \d+ \(\d+%\)$/m },
      }),
}));

const openpilot: readonly Row[] = [
  {
    law: 'openpilot: an image in large chunks',
    before: 'cat blob blob blob >img',
    args: [
      ...['make', '--with=symlinks', '--with=permissions', '--compression=xz', '--chunk-size=16M'],
      ...['y.caibx', 'img'],
    ],
    after: 'cksum y.caibx',
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
  ...[
    ['--with=symlinks'],
    ['--with=symlinks', '--with=permissions'],
    ['--with=symlinks', '--with=permissions', '--with=user-names'],
    ['--without=all'],
    ['--with=unix'],
    ['--with=best'],
    ['--without=privileged'],
  ].flatMap((features): Row[] =>
    ['make y.caidx tree', 'digest tree'].map((words) => ({
      law: `openpilot: digests agree with published ones: ${words} ${features.join(' ')}`,
      args: [...words.split(' '), ...features],
      after: 'test -e y.caidx && cksum y.caidx',
      both: { status: 0, stdout: DIGEST, stderr: '' },
    })),
  ),
  {
    law: 'openpilot: an update with the running version as seed',
    before: 'mkdir scratch; cp -a tree old; echo older >>old/sub/b',
    env: { TMPDIR: './scratch' },
    args: ['extract', 'x.caidx', 'out', '--seed=old', '--with=symlinks'],
    after: 'ls -A scratch; diff -r tree out; (cd out && casync digest --with=symlinks)',
    both: DONE,
  },
];

const STATISTICS = [
  /Zero bytes written as sparse files: \d/,
  /^Bytes cloned through reflinks: \d/m,
  /^Chunk requests fulfilled from local store: \d+ \(\d+%\)$/m,
  /^Bytes used from local store: \S+ \(\d+%\)$/m,
  /^Chunk requests fulfilled from local seed: \d+ \(\d+%\)$/m,
  /^Total extract time: \S/m,
];

const steamOs: readonly Row[] = [
  ...STATISTICS.map(
    (line): Row => ({
      law: `SteamOS: extraction tells ${line.source}`,
      args: ['-v', 'extract', '--store=FOLDER/default.castr', 'x.caibx', 'x.img'],
      after: 'cmp blob x.img',
      both: { status: 0, stdout: '', after: '' },
      ours: { stderr: line },
      reference: { stderr: line },
    }),
  ),
  {
    law: 'SteamOS: an image into a folder',
    before: 'mkdir dir',
    args: ['make', '--store=x.castr', 'dir/x.caibx', 'blob'],
    after: 'cmp dir/x.caibx x.caibx; ls',
    both: { status: 0, stdout: DIGEST, stderr: '' },
  },
];

testRows([...rauc, ...tiu, ...openpilot, ...steamOs]);

/** As a wrapper for Node does it: trimmed standard output, and anything said is a failure. */
function wrapped(
  program: readonly string[],
  args: readonly string[],
  cwd: string,
): Promise<string> {
  const [file, ...rest] = [...program, ...args];
  return new Promise((resolve, reject) => {
    const env = { ...process.env, CASYNC_DIGEST: 'sha512-256' };
    execFile(file, rest, { cwd, env }, (error, stdout, stderr) => {
      if (error !== null) reject(error);
      else if (stderr !== '') reject(new Error(stderr));
      else resolve(stdout.trim());
    });
  });
}

test('a wrapper for Node: digests, and mtree line by line', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const folder = sceneCopy(t);
  const ours = (...args: string[]) => wrapped([process.execPath, CASYNC], args, folder);
  const reference = (...args: string[]) => wrapped(['casync'], args, folder);
  const digest = await ours('digest', 'tree');
  t.is(digest, await reference('digest', 'tree'));
  t.is(await ours('make', 'y.caidx', 'tree'), digest);
  t.is(
    await ours('make', '--store', join(folder, 'z.castr'), 'y.caibx', 'blob'),
    await reference('digest', 'blob'),
  );
  t.is(await ours('extract', 'y.caidx', 'out'), '');
  const paths = (await ours('mtree', 'out')).split('\n').map((line) => line.split(' ', 1)[0]);
  t.deepEqual(paths, ['.', 'a', 'empty', 'link', 'sub', 'sub/a\\040blank', 'sub/b']);
  await t.throwsAsync(ours('extract', 'nothing.caidx', 'out'));
});
