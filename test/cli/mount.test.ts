// `casync mount` beside the original: what is shown, what is said, how it ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { GOLDEN } from '../helpers/golden.ts';
import { MOUNT_NEEDS, mountsAt, readWith, startMount } from '../helpers/mounted.ts';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';

const BESIDE = {
  ...MOUNT_NEEDS,
  commands: [...(MOUNT_NEEDS.commands ?? []), 'casync', 'getfattr'],
};
/** All of it but inode numbers, and link counts and sizes of links, which the original does not know. */
const LINES = '%P|%y|%m|%U|%G|%T@|%A@|%C@|%l\\0';
const SIZES = ['.', '!', '-type', 'l', '-printf', '%P|%s\\0'];
const INPUTS = [
  'tree/default.caidx',
  'tree/default.catar',
  'tree/avg4096.caidx',
  'chattr/with-chattr.catar',
  'mini/many.catar',
  'mini/acl-dir.catar',
  'mini/dir-fat.catar',
  'mini/dir-none.catar',
  'mini/emptydir.catar',
];

async function described(mountPoint: string): Promise<readonly string[]> {
  const options = { cwd: mountPoint };
  const nodes = await readWith('find', ['.', '-printf', LINES], options);
  const sizes = await readWith('find', SIZES, options);
  const sums = await readWith(
    'find',
    ['.', '-type', 'f', '-exec', 'sha256sum', '{}', '+'],
    options,
  );
  const shown = ['-R', '-P', '-h', '-d', '-e', 'hex', '-m', '^(user|trusted)[.]', '.'];
  const attributes = await readWith('getfattr', shown, options);
  const blocks = attributes.split('\n\n').map((block) => block.split('\n').sort().join('\n'));
  return [...`${nodes}${sizes}`.split('\0').sort(), ...sums.split('\n').sort(), ...blocks.sort()];
}

for (const input of INPUTS) {
  test.serial(`${input}: as the original mounts it, as it is extracted`, async (t) => {
    if (!requirement(t, BESIDE)) return;
    const path = join(GOLDEN, input);
    const store = input.endsWith('.caidx') ? [`--store=${path.replace(/caidx$/, 'castr')}`] : [];
    const [ours, theirs] = await Promise.all([
      startMount(t, [...store, path]),
      startMount(t, [...store, path], { program: 'reference' }),
    ]);
    t.deepEqual(await described(ours.mountPoint), await described(theirs.mountPoint));
    // Other archives lack what extraction makes up.
    if (input.startsWith('tree/')) {
      const extracted = join(temporaryFolder(t), 'x');
      await succeed(runCasync(['extract', '--seed-output=no', ...store, path, extracted]));
      t.deepEqual(compareTrees(extracted, ours.mountPoint), []);
    }
    t.is((await ours.stop()).status, 0);
    t.is((await theirs.stop()).status, 0);
  });
}

test.serial(
  'a mount of an archive with the features of FUSE has the digest of its index',
  async (t) => {
    if (!requirement(t, BESIDE)) return;
    const folder = temporaryFolder(t);
    const tree = await startMount(t, [join(GOLDEN, 'tree/default.catar')], {
      program: 'reference',
    });
    await succeed(runCasync(['make', '--with=fuse', 'x.caidx', tree.mountPoint], { cwd: folder }));
    const { stdout } = await succeed(runCasync(['digest', 'x.caidx'], { cwd: folder }));
    const ours = await startMount(t, ['x.caidx'], { cwd: folder });
    t.is(ours.stderr(), '');
    const digest = ['digest', '--with=fuse', ours.mountPoint];
    t.is((await succeed(runCasync(digest))).stdout.toString(), stdout.toString());
    t.is(
      (await succeed(runReference(['--digest=sha256', ...digest]))).stdout.toString(),
      stdout.toString(),
    );
  },
);

test.serial('a blob is a file', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const folder = temporaryFolder(t);
  const store = `--store=${join(GOLDEN, 'stores/zstd-sha512-256.castr')}`;
  const index = join(GOLDEN, 'blob-index/b300000-default.caibx');
  writeFileSync(join(folder, 'disk.raw.caibx'), readFileSync(index));
  const { mountPoint, stop } = await startMount(t, [store, 'disk.raw.caibx'], { cwd: folder });
  t.is(await readWith('ls', [mountPoint]), 'disk.raw\n');
  const expected = readFileSync(join(GOLDEN, 'blobs/b300000'));
  t.deepEqual(readFileSync(join(mountPoint, 'disk.raw')), expected);
  t.is((await stop()).status, 0);
});

test.serial('standard input is an archive, or an index', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const inputs = [
    { file: 'tree/default.catar', words: [] },
    { file: 'tree/default.catar', words: ['-'] },
    {
      file: 'tree/default.caidx',
      words: ['--what=archive-index', `--store=${join(GOLDEN, 'tree/default.castr')}`, '-'],
    },
  ];
  for (const { file, words } of inputs) {
    const stdin = openSync(join(GOLDEN, file), 'r');
    const { mountPoint, stop } = await startMount(t, words, { stdin });
    closeSync(stdin);
    const names = await readWith('find', ['.', '-mindepth', '1', '-printf', '%P\n'], {
      cwd: mountPoint,
    });
    t.is(names.split('\n').length, 110);
    t.is((await stop()).status, 0);
  }
});

test.serial('the mount is called as its input', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const folder = temporaryFolder(t);
  const name = 'a, b\\c "d".catar';
  writeFileSync(join(folder, name), readFileSync(join(GOLDEN, 'mini/many.catar')));
  const { mountPoint } = await startMount(t, [name], { cwd: folder });
  const words = ['-n', '-o', 'SOURCE,FSTYPE,OPTIONS', mountPoint];
  const [line = ''] = (await readWith('findmnt', [...words, '--raw'])).split('\n');
  t.is(
    line.replaceAll('\\x20', ' ').replaceAll('\\x5c', '\\'),
    `${name} fuse.casync ro,nosuid,nodev,relatime,user_id=0,group_id=0,default_permissions,allow_other`,
  );
});

const HEARER = `
import socket, subprocess, sys, os
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
child = subprocess.Popen(sys.argv[3:], env=dict(os.environ, NOTIFY_SOCKET=sys.argv[1]))
text = s.recv(4096).decode()
print(text, sorted(os.listdir(sys.argv[2])), flush=True)
child.terminate()
print(child.wait(), flush=True)
`;

test.serial('whoever waits for READY=1 can read at once', async (t) => {
  if (!requirement(t, { ...MOUNT_NEEDS, commands: ['python3'] })) return;
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'm'));
  const archive = join(GOLDEN, 'mini/dir.catar');
  const { CASYNC } = await import('../helpers/run-casync.ts');
  const words = [join(folder, 's'), join(folder, 'm'), process.execPath, CASYNC, 'mount', archive];
  const child = spawn('python3', ['-c', HEARER, ...words, join(folder, 'm')]);
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  await once(child, 'close');
  t.regex(output, /^Mounted: .*\/m\nREADY=1 \['.*\]\n0\n$/s);
  t.is(mountsAt(join(folder, 'm')), 0);
});

const REFUSED: readonly (readonly [string, readonly string[], string, number])[] = [
  ['no words', [], 'An archive path/URL expected, followed by a mount path.', 1],
  ['too many', ['a', 'b', 'c'], 'An archive path/URL expected, followed by a mount path.', 1],
  [
    'another kind',
    ['--what=directory', 'x.catar', 'm'],
    '"mount" operation may only be combined with --what=archive and --what=archive-index.',
    1,
  ],
  ['no index', ['no.caidx', 'm'], 'Failed to open no.caidx: No such file or directory', 10],
  [
    'no archive',
    ['no.catar', 'm'],
    'Failed to set sync input: no.catar: No such file or directory',
    10,
  ],
  ['a folder', ['full', 'm'], 'Failed to run synchronizer: full: Is a directory', 1],
  ['a pipe', ['m'], 'standard input: Seekable archive required.', 1],
  ['an empty name', ['', 'm'], 'Failed to determine class of locator: ', 1],
  [
    'no mount point',
    ['--mkdir=no', 'x.catar', 'new'],
    'Failed to establish FUSE mount: new: No such file or directory',
    1,
  ],
  [
    'no folder around it',
    ['x.catar', 'no/new'],
    'Failed to create mount directory no/new: No such file or directory',
    1,
  ],
  [
    'an empty mount point',
    ['x.catar', ''],
    'Failed to create mount directory : No such file or directory',
    1,
  ],
  [
    'a folder that is not empty',
    ['x.catar', 'full'],
    'Failed to establish FUSE mount: full: Directory not empty',
    1,
  ],
  ['a file', ['x.catar', 'x.catar'], 'Failed to establish FUSE mount: x.catar: Not a directory', 1],
];

test.serial('what cannot be mounted is refused in one line', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'full/sub'), { recursive: true });
  writeFileSync(join(folder, 'x.catar'), readFileSync(join(GOLDEN, 'mini/dir.catar')));
  for (const [what, words, message, status] of REFUSED) {
    const result = await runCasync(['mount', ...words], { cwd: folder });
    t.is(result.stderr.toString(), `${message}\n`, what);
    t.is(result.status, status, describeRun(result));
    t.is(result.stdout.toString(), '');
  }
  t.deepEqual([existsSync(join(folder, 'new')), mountsAt(join(folder, 'm'))], [false, 0]);
});

test.serial('a damaged archive or index is refused before anything is mounted', async (t) => {
  if (!requirement(t, MOUNT_NEEDS)) return;
  const folder = temporaryFolder(t);
  const bytes = readFileSync(join(GOLDEN, 'tree/default.caidx'));
  writeFileSync(join(folder, 'x.caidx'), bytes.subarray(0, 100));
  writeFileSync(join(folder, 'x.catar'), 'no archive');
  for (const name of ['x.caidx', 'x.catar']) {
    const result = await runCasync(['mount', name, 'm'], { cwd: folder });
    t.is(result.status, 14);
    t.regex(result.stderr.toString(), new RegExp(`^Failed to run synchronizer: .*${name}: .+\n$`));
  }
  t.false(existsSync(join(folder, 'm')));
});
