/** What scripts see of the commands: results, messages, exit status (spec/command-line.md). */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { golden, noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

interface Made {
  readonly folder: string;
  readonly blob: string;
  readonly index: string;
  readonly store: string;
  readonly bytes: Uint8Array;
}

/** A blob of several chunks in a store of its own. */
async function makeBlob(t: ExecutionContext, length = 600_000): Promise<Made> {
  const folder = temporaryFolder(t);
  const made = {
    folder,
    blob: join(folder, 'blob'),
    index: join(folder, 'x.caibx'),
    store: join(folder, 'x.castr'),
    bytes: noise(length),
  };
  fs.writeFileSync(made.blob, made.bytes);
  const result = await succeed(runCasync(['make', `--store=${made.store}`, made.index, made.blob]));
  t.is(result.stdout.toString(), `${sha256(made.bytes)}\n`);
  t.is(result.stderr.toString(), '');
  return made;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function chunkFiles(store: string): string[] {
  return fs
    .readdirSync(store, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.cacnk'))
    .map((name) => join(store, name))
    .sort();
}

test('a blob comes back, and a longer older file is replaced by exactly it', async (t) => {
  const { folder, index, store, bytes } = await makeBlob(t);
  const output = join(folder, 'out');
  fs.writeFileSync(output, noise(bytes.length + 5000, 2), { mode: 0o640 });
  const result = await succeed(runCasync(['extract', `--store=${store}`, index, output]));
  t.is(result.stdout.length + result.stderr.length, 0);
  t.deepEqual(new Uint8Array(fs.readFileSync(output)), bytes);
  t.is(fs.statSync(output).mode & 0o777, 0o640);
});

test('a blob goes through pipes both ways', async (t) => {
  const { index, store, bytes } = await makeBlob(t);
  const extracted = await succeed(runCasync(['extract', `--store=${store}`, index, '-']));
  t.deepEqual(new Uint8Array(extracted.stdout), bytes);
  const again = await succeed(
    runCasync(['make', `--store=${store}`, '--what=blob-index'], { stdin: extracted.stdout }),
  );
  t.deepEqual(again.stdout, fs.readFileSync(index));
});

test('a missing chunk is named, has its own status, and leaves nothing behind', async (t) => {
  const { folder, index, store } = await makeBlob(t);
  const [lost] = chunkFiles(store);
  fs.rmSync(lost);
  const output = join(folder, 'out');
  fs.writeFileSync(output, 'old');
  const result = await runCasync(['extract', `--store=${store}`, index, output]);
  t.is(result.status, 12);
  const id = lost.slice(-70, -6);
  t.regex(result.stderr.toString(), new RegExp(`^Failed to run synchronizer: .*${id}.*\n$`));
  t.is(fs.readFileSync(output, 'utf8'), 'old');
  t.deepEqual(fs.readdirSync(folder).sort(), ['blob', 'out', 'x.caibx', 'x.castr']);
});

test('a damaged chunk is named and has its own status', async (t) => {
  const { folder, index, store } = await makeBlob(t);
  const [damaged] = chunkFiles(store);
  fs.chmodSync(damaged, 0o644);
  fs.writeFileSync(damaged, fs.readFileSync(chunkFiles(store)[1]));
  const result = await runCasync(['extract', `--store=${store}`, index, join(folder, 'out')]);
  t.is(result.status, 14);
  t.true(result.stderr.toString().includes(damaged.slice(-70, -6)));
  t.false(fs.existsSync(join(folder, 'out')));
});

test('a further store helps where the first lacks a chunk', async (t) => {
  const { folder, index, store, bytes } = await makeBlob(t);
  const output = join(folder, 'out');
  const stores = [`--store=${join(folder, 'none.castr')}`, `--extra-store=${store}`];
  await succeed(runCasync(['extract', ...stores, index, output]));
  t.deepEqual(new Uint8Array(fs.readFileSync(output)), bytes);
});

test('the store comes from the environment, else it lies beside the index', async (t) => {
  const { folder, blob, store } = await makeBlob(t);
  const index = join(folder, 'y.caibx');
  await succeed(runCasync(['make', index, blob], { env: { CASYNC_STORE: store } }));
  t.false(fs.existsSync(join(folder, 'default.castr')));
  await succeed(runCasync(['make', index, blob]));
  t.deepEqual(chunkFiles(join(folder, 'default.castr')).length, chunkFiles(store).length);
});

test('the digest of a blob index is that of the blob, by the digest that is asked for', async (t) => {
  const { index, store, bytes } = await makeBlob(t);
  const args = ['digest', `--store=${store}`, index];
  t.is((await succeed(runCasync(args))).stdout.toString(), `${sha256(bytes)}\n`);
  const sha512 = createHash('sha512-256').update(bytes).digest('hex');
  const environment = { env: { CASYNC_DIGEST: 'sha512-256' } };
  t.is((await succeed(runCasync(args, environment))).stdout.toString(), `${sha512}\n`);
});

test('an archive goes through a pipe that refuses now and then', async (t) => {
  const folder = temporaryFolder(t);
  fs.mkdirSync(join(folder, 'tree'));
  for (let i = 0; i < 20; i++) fs.writeFileSync(join(folder, `tree/${i}`), noise(200_000, i));
  await succeed(runCasync(['make', 'x.catar', 'tree'], { cwd: folder }));
  // A socket, as Node gives its children, does not block.
  const child = spawn(CASYNC, ['make', '-', 'tree'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const parts: Buffer[] = [];
  for await (const part of child.stdout) {
    parts.push(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.deepEqual(Buffer.concat(parts), fs.readFileSync(join(folder, 'x.catar')));
});

test('a pipe that is given by name is refused, not taken for standard input', async (t) => {
  const stdin = golden('mini/many.catar');
  const script = `${process.execPath} ${CASYNC} list --what=archive /dev/fd/3 3< <(true)`;
  const child = spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (text += bytes));
  t.is(await new Promise((resolve) => child.once('close', resolve)), 1);
  t.is(text, 'Input is neither a file or directory. Refusing.\n');
});

test('an index to standard output is exactly the index', async (t) => {
  const { blob, index, store } = await makeBlob(t);
  const result = await succeed(
    runCasync(['make', `--store=${store}`, '--what=blob-index', '-', blob]),
  );
  t.deepEqual(result.stdout, fs.readFileSync(index));
});

const REFUSALS: readonly (readonly [readonly string[], string])[] = [
  [[], "Missing verb. (Invoke 'casync --help' for a list of available verbs.)"],
  [
    ['frobnicate'],
    "Unknown verb 'frobnicate'. (Invoke 'casync --help' for a list of available verbs.)",
  ],
  [['mount'], 'An archive path/URL expected, followed by a mount path.'],
  [['mount', 'a', 'b', 'c'], 'An archive path/URL expected, followed by a mount path.'],
  [
    ['mkdev', 'a', 'b', 'c'],
    'An blob path/URL expected, possibly followed by a device or symlink name.',
  ],
  [
    ['mkdev', '--what=archive', 'x'],
    '"mkdev" operation may only be combined with --what=blob and --what=blob-index.',
  ],
  [['serve-nbd'], 'Expected something to serve.'],
  [['udev', 'a', 'b'], 'Expected one argument.'],
  [['make', 'a', 'b', 'c'], 'A pair of output and input path/URL expected.'],
  [
    ['make', 'x.raw', '/'],
    'File to create does not have valid suffix, refusing. (May be one of: .catar, .caidx, .caibx)',
  ],
  [
    ['make', '--what=blob', 'x', '/'],
    '"make" operation may only be combined with --what=archive, --what=archive-index or --what=blob-index.',
  ],
  [['make', 'x.caibx', '/nonexistent'], 'Failed to open /nonexistent: No such file or directory'],
  [['make', 'x.caibx', '/'], 'Input is a directory, but attempted to make blob index. Refusing.'],
  [
    ['make', 'x.caidx', '/proc/self/status'],
    'Input is a regular file or block device, but attempted to make a directory archive. Refusing.',
  ],
  [
    ['make', 'x.caibx', '/dev/null'],
    'Input is a neither a directory, a regular file, nor a block device. Refusing.',
  ],
  [['make', 'x.caibx', 'http://h/x'], 'Input must be local path: http://h/x'],
  [
    ['extract', 'x.raw', 'y'],
    'File to read from does not have valid suffix, refusing. (May be one of: .catar, .caidx, .caibx)',
  ],
  [
    ['extract', 'x.caibx', '/'],
    'Output is a directory, but attempted to extract blob index. Refusing.',
  ],
  [
    ['extract', 'x.catar', '/proc/self/status'],
    'Output is a regular file or block device, but attempted to extract an archive.',
  ],
  [
    ['extract', 'x.caibx', 'y', 'sub'],
    'Subtree path only supported when extracting archive or archive index.',
  ],
  [['list', '/proc/self/status'], 'Input should be a directory, .catar or .caidx file. Refusing.'],
  [
    ['list', '--what=blob', '/'],
    '"list" operation may only be combined with --what=archive, archive-index, or directory.',
  ],
  [['list', '/', 'sub'], 'Subtree path only supported when listing archive or archive index.'],
  [['--what=nonsense'], 'Failed to parse --what= selector: nonsense'],
  [['--with=nonsense'], 'Failed to parse --with= feature flag: nonsense'],
  [['--digest=md5'], 'Failed to parse --digest= parameter: md5'],
  [['--compression=bzip2'], 'Failed to parse --compression= parameter: bzip2'],
  [['--chunker=rabin'], 'Failed to parse --chunker= parameter: rabin'],
  [['--sync=yes'], 'Failed to parse --sync= parameter: yes'],
  [['--delete=maybe'], 'Failed to parse --delete= parameter: maybe'],
  [['--log-level=loud'], 'Failed to parse log level "loud": Invalid argument'],
  [['--rate-limit-bps=0'], 'Rate limit size cannot be zero.'],
  [
    ['--chunk-size=1K:2K'],
    '--chunk-size= requires either a single average chunk size or a triplet of minimum, average and maximum chunk size.',
  ],
];

for (const [args, message] of REFUSALS) {
  test(`casync ${args.join(' ')}: refused in the original's words`, async (t) => {
    const result = await runCasync(args, { cwd: temporaryFolder(t) });
    t.is(result.status, 1);
    t.is(result.stderr.toString(), `${message}\n`);
    t.is(result.stdout.length, 0);
  });
}

test('errors are silent below their log level', async (t) => {
  const result = await runCasync(['--log-level=crit', 'list', '/nonexistent.catar']);
  t.not(result.status, 0);
  t.is(result.stderr.length, 0);
});

test('the help is narrow, complete and nothing but help', async (t) => {
  const { stdout, stderr } = await succeed(runCasync(['--help']));
  const text = stdout.toString();
  t.is(stderr.length, 0);
  for (const line of text.split('\n')) t.true(line.length <= 79, line);
  const features = (await succeed(runCasync(['--with=help', 'make']))).stdout.toString();
  for (const name of features.trim().split('\n').slice(1)) t.true(text.includes(name), name);
});

test('a reader that has seen enough is no failure', async (t) => {
  const child = spawn(CASYNC, ['list', '/usr/lib'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.once('data', () => child.stdout.destroy());
  const complaints: Buffer[] = [];
  child.stderr.on('data', (bytes) => complaints.push(bytes));
  const status = await new Promise((resolve) => child.once('close', resolve));
  t.is(status, 0);
  t.is(Buffer.concat(complaints).toString(), '');
});

test('a result that cannot be written is a failure', async (t) => {
  const full = fs.openSync('/dev/full', 'w');
  const child = spawn(CASYNC, ['list', import.meta.dirname], { stdio: ['ignore', full, 'pipe'] });
  const status = await new Promise((resolve) => child.once('close', resolve));
  fs.closeSync(full);
  t.is(status, 13);
});

test('a signal ends the work, says so and leaves no output', async (t) => {
  const folder = temporaryFolder(t);
  const args = ['make', `--store=${folder}/s.castr`, `${folder}/x.caibx`, '-'];
  const child = spawn(CASYNC, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {});
  let text = '';
  child.stderr.on('data', (bytes) => {
    text += bytes;
  });
  // More than a segment, so that some of it is stored.
  child.stdin.write(noise(6_000_000));
  while (!fs.existsSync(`${folder}/s.castr`))
    await new Promise((resolve) => setTimeout(resolve, 20));
  child.kill('SIGTERM');
  const status = await new Promise((resolve) => child.once('close', resolve));
  t.is(status, 130);
  t.is(text, 'Got exit signal, quitting.\n');
  // The store may stay, with or without chunks.
  t.deepEqual(
    fs.readdirSync(folder).filter((name) => name !== 's.castr'),
    [],
  );
});

test('one object of an archive is extracted under its own name, others stay', async (t) => {
  const folder = temporaryFolder(t);
  fs.writeFileSync(join(folder, 'x.catar'), golden('tree/default.catar'));
  fs.mkdirSync(join(folder, 'out'));
  fs.writeFileSync(join(folder, 'out/other'), 'stays');
  const args = ['extract', '--without=privileged', 'x.catar', 'out'];
  await succeed(runCasync([...args, '/dir/sub/'], { cwd: folder }));
  t.deepEqual(fs.readdirSync(join(folder, 'out')).sort(), ['other', 'sub']);
  t.is(fs.readFileSync(join(folder, 'out/sub/deep/f4'), 'utf8'), '4');
  const missing = await runCasync([...args, 'dir/nothing'], { cwd: folder });
  t.is(missing.stderr.toString(), 'Seek path not available in archive.\n');
  t.is(missing.status, 1);
});

test('make into the folder that it reads is no change of the source', async (t) => {
  const folder = temporaryFolder(t);
  fs.mkdirSync(join(folder, 'sub'));
  fs.writeFileSync(join(folder, 'sub/file'), noise(300_000));
  for (const output of ['x.caidx', 'x.caidx', 'x.catar']) {
    const result = await succeed(runCasync(['make', output], { cwd: folder }));
    t.is(result.stderr.toString(), '');
  }
});

test('without koffi the command works and says what it leaves out', async (t) => {
  const folder = temporaryFolder(t);
  fs.mkdirSync(join(folder, 'tree'));
  fs.writeFileSync(join(folder, 'tree/file'), noise(300_000));
  const options = { cwd: folder, env: { CASYNC_NATIVE: 'off' } };
  const made = await succeed(runCasync(['make', 'x.caidx', 'tree'], options));
  t.regex(
    made.stderr.toString(),
    /^Left out, because the package koffi is not available: .*xattrs/,
  );
  const args = ['extract', '--without=privileged', 'x.caidx', 'copy'];
  t.is((await succeed(runCasync(args, options))).stderr.toString(), '');
  t.deepEqual(
    fs.readFileSync(join(folder, 'copy/file')),
    fs.readFileSync(join(folder, 'tree/file')),
  );
  const interposed = { cwd: folder, env: { CASYNC_NATIVE: 'off', FAKEROOTKEY: '1' } };
  const refused = await runCasync(['make', 'y.caidx', 'tree'], interposed);
  t.not(refused.status, 0);
  t.regex(refused.stderr.toString(), /under fakeroot and pseudo this needs the package koffi/);
});

test('owners and devices that exist only under fakeroot are archived', async (t) => {
  if (!requirement(t, { commands: ['fakeroot', 'casync'] })) return;
  const folder = temporaryFolder(t);
  const script = [
    'mkdir tree && mknod tree/null c 1 3 && echo x > tree/f && chown 5:60 tree/f && chmod 4755 tree/f',
    `${CASYNC} make --digest=sha512-256 --with=unix ours.catar tree > ours`,
    'casync make --with=unix theirs.catar tree > theirs',
    'cmp ours.catar theirs.catar && cmp ours theirs',
    `${CASYNC} mtree --with=unix tree`,
  ].join(' && ');
  const child = spawn('fakeroot', ['sh', '-c', script], { cwd: folder });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (text += bytes));
  t.is(await new Promise((resolve) => child.once('close', resolve)), 0, text);
  t.regex(text, /^f type=file mode=4755 size=2 uid=5 gid=60 /m);
  t.regex(text, /^null type=char .*device=linux,1,3 /m);
});
