/** `sync` on one machine, as scripts meet it (spec/images.md, "Sync"). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { writeImagePair } from '../helpers/image-pair.ts';
import { deviceSectors, LOOP_DEVICE_NEEDS, loopDevice } from '../helpers/loop-device.ts';
import { loopMount, loopMountNeeds } from '../helpers/loop-mount.ts';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const MIB = 2 ** 20;
const SIZE = 16 * MIB;
const CHANGED = 40;

function prepare(t: ExecutionContext, cwd = temporaryFolder(t)) {
  const [before, after] = ['a', 'b'].map((name) => join(cwd, name));
  const pair = writeImagePair(before, after, { size: SIZE, changedPages: CHANGED });
  const isEqual = (a: string, b: string): boolean =>
    fs.readFileSync(join(cwd, a)).equals(fs.readFileSync(join(cwd, b)));
  const run = (...words: readonly string[]) => runCasync(words, { cwd });
  return { cwd, ...pair, isEqual, run };
}

/** Bytes that system calls moved from and to a path, as strace tells them. */
function movedBytes(folder: string, path: string): { read: number; written: number } {
  const moved = { read: 0, written: 0 };
  const reports = fs.readdirSync(folder).filter((name) => name.startsWith('report.'));
  const lines = reports.flatMap((name) => fs.readFileSync(join(folder, name), 'utf8').split('\n'));
  for (const line of lines) {
    const [, call = '', count = '0'] =
      /\b(p?(?:read|write)v?2?(?:64)?)\(.*= (\d+)$/.exec(line) ?? [];
    if (!line.includes(`<${path}>`)) continue;
    if (call.includes('read')) moved.read += Number(count);
    else if (call.includes('write')) moved.written += Number(count);
  }
  return moved;
}

test('system calls read nothing of the destination, and write changed pages alone', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const { cwd, run, isEqual, zeroed } = prepare(t);
  await succeed(run('sync', 'a', 'd'));
  const wrapper = ['strace', '-ff', '-y', '-o', 'report', '-e', 'trace=/read,/write'];
  await succeed(runCasync(['sync', 'b', 'd'], { cwd, wrapper }));
  t.true(isEqual('b', 'd'));
  const pages = CHANGED - zeroed.length;
  t.deepEqual(movedBytes(cwd, join(cwd, 'd')), { read: 0, written: pages * 4096 });
  const extra = movedBytes(cwd, join(cwd, 'b')).read - SIZE;
  t.true(extra >= 0 && extra < 64, `${extra} bytes of the source were read twice`);
});

test('a block device is written where it differs, by its own counters', async (t) => {
  if (!requirement(t, LOOP_DEVICE_NEEDS)) return;
  const { cwd, run, zeroed } = prepare(t);
  const words = ['--map=map.caibx', '--sparse=never'];
  fs.copyFileSync(join(cwd, 'a'), join(cwd, 'backing'));
  const device = loopDevice(t, join(cwd, 'backing'));
  await succeed(run('sync', 'a', device, ...words));
  const earlier = deviceSectors(device);
  await succeed(run('sync', 'b', device, ...words));
  const later = deviceSectors(device);
  t.is(later.read - earlier.read, 0);
  t.is((later.written - earlier.written) * 512, CHANGED * 4096);
  t.true(zeroed.length > 0);
  await succeed(run('sync', 'b', device, ...words));
  t.deepEqual(deviceSectors(device), later);
  t.true(fs.readFileSync(device).equals(fs.readFileSync(join(cwd, 'b'))));
});

test('devices of other sizes, in use, or missing are refused, and nothing is written', async (t) => {
  if (!requirement(t, { ...LOOP_DEVICE_NEEDS, commands: ['losetup', 'mkfs.ext4', 'mount'] }))
    return;
  const { cwd, run } = prepare(t);
  for (const [name, size] of [
    ['small', 8 * MIB],
    ['large', 24 * MIB],
  ] as const) {
    fs.writeFileSync(join(cwd, name), '');
    fs.truncateSync(join(cwd, name), size);
  }
  const [small, large] = ['small', 'large'].map((name) => loopDevice(t, join(cwd, name)));
  for (const device of [small, large]) {
    const earlier = deviceSectors(device).written;
    const refused = await run('sync', 'a', device, '--map=none');
    t.is(refused.status, 13, describeRun(refused));
    t.is(deviceSectors(device).written, earlier);
  }
  await succeed(run('sync', 'a', large, '--map=none', '--size=larger-ok'));
  const bytes = fs.readFileSync(large);
  t.true(bytes.subarray(0, SIZE).equals(fs.readFileSync(join(cwd, 'a'))));
  t.true(bytes.subarray(SIZE).every((byte) => byte === 0));
  const missing = await run('sync', 'a', '/dev/casync-no-such-device');
  t.is(missing.status, 15, describeRun(missing));
});

test('history of copies that share blocks costs what has changed', async (t) => {
  if (!requirement(t, loopMountNeeds('xfs'))) return;
  const mounted = loopMount(t, 'xfs');
  const { run, isEqual, cwd } = prepare(t, mounted);
  await succeed(run('sync', 'a', 'd'));
  const words = ['--keep=d.1', '--undo=undo.cadelta', '--verify=written'];
  await succeed(run('sync', 'b', 'd', ...words));
  t.true(isEqual('d.1', 'a'));
  t.true(isEqual('d', 'b'));
  const again = await run('sync', 'a', 'd', '--keep=d.1');
  t.is(again.status, 15, describeRun(again));
  t.true(isEqual('d', 'b'));
  await succeed(run('patch', 'd', 'undo.cadelta'));
  t.true(isEqual('d', 'a'));
  const { size } = fs.statSync(join(cwd, 'undo.cadelta'));
  t.true(size < CHANGED * 4096 + 16 * 1024, `${size}`);
  await succeed(run('sync', 'b', 'frozen', '--snapshot=reflink'));
  t.true(isEqual('frozen', 'b'));
});

test('where blocks cannot be shared, copies are refused and nothing is written', async (t) => {
  if (!requirement(t, loopMountNeeds('ext4'))) return;
  const { run, isEqual } = prepare(t, loopMount(t, 'ext4'));
  await succeed(run('sync', 'a', 'd'));
  for (const option of ['--keep=d.1', '--snapshot=reflink']) {
    const result = await run('sync', 'b', 'd', option);
    t.not(result.status, 0);
    t.regex(result.stderr.toString(), /share blocks/);
  }
  t.true(isEqual('a', 'd'));
});

test('undo leads back over sizes that have changed', async (t) => {
  const { cwd, run, isEqual } = prepare(t);
  for (const [from, to] of [
    [SIZE, 3 * MIB + 5],
    [2 * MIB + 77, SIZE],
  ] as const) {
    for (const map of ['auto', 'none']) {
      fs.copyFileSync(join(cwd, 'a'), join(cwd, 'old'));
      fs.truncateSync(join(cwd, 'old'), from);
      fs.copyFileSync(join(cwd, 'b'), join(cwd, 'new'));
      fs.truncateSync(join(cwd, 'new'), to);
      fs.copyFileSync(join(cwd, 'old'), join(cwd, `d-${from}-${map}`));
      const words = [`d-${from}-${map}`, `--map=${map}`];
      if (map === 'auto') await succeed(run('sync', 'old', ...words));
      await succeed(run('sync', 'new', ...words, '--undo=undo'));
      await succeed(run('patch', words[0] ?? '', 'undo'));
      t.true(isEqual('old', words[0] ?? ''), `${from} ${map}`);
    }
  }
});

test('blocks that cannot be read are skipped, told, and left as they are', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const { cwd, run } = prepare(t);
  fs.truncateSync(join(cwd, 'a'), MIB);
  fs.truncateSync(join(cwd, 'b'), MIB);
  await succeed(run('sync', 'a', 'd'));
  // The first calls look at its begin and read all of it, then comes the first block alone.
  const wrapper = ['strace', '-f', '-o', 'report', '-P', 'b', '-e', 'trace=pread64'];
  wrapper.push('-e', 'inject=pread64:error=EIO:when=1..3');
  const env = { CASYNC_WORKERS: '0' };
  const failed = await runCasync(['sync', 'b', 'd', '--jobs=1'], { cwd, env, wrapper });
  t.is(failed.status, 1, describeRun(failed));
  const words = ['sync', 'b', 'd', '--on-read-error=skip', '--jobs=1'];
  const result = await runCasync(words, { cwd, env, wrapper });
  t.is(result.status, 3, describeRun(result));
  t.regex(result.stderr.toString(), /4096 bytes could not be read/);
  const [a, b, d] = ['a', 'b', 'd'].map((name) => fs.readFileSync(join(cwd, name)));
  t.true(d.subarray(0, 4096).equals(a.subarray(0, 4096)));
  t.true(d.subarray(4096).equals(b.subarray(4096)));
});

test('directories, streams, stores and what makes no sense', async (t) => {
  const { cwd, run, isEqual } = prepare(t);
  fs.mkdirSync(join(cwd, 'folder'));
  await succeed(run('sync', 'a', 'b', 'folder/'));
  t.true(isEqual('folder/b', 'b'));
  const stdin = fs.readFileSync(join(cwd, 'a'));
  await succeed(runCasync(['sync', '-', 'stream', '--no-cache'], { cwd, stdin }));
  t.true(isEqual('stream', 'a'));
  await succeed(run('sync', '--store=s.castr', 'a', 'x.caibx'));
  await succeed(run('sync', '--store=s.castr', 'b', 'x.caibx'));
  await succeed(run('get', '--store=s.castr', 'x.caibx', 'got'));
  t.true(isEqual('got', 'b'));
  const index = fs.readFileSync(join(cwd, 'x.caibx'));
  for (const words of [
    ['a'],
    ['a', 'b', 'no-folder'],
    ['a', '-'],
    ['a', 'x.caibx'],
    ['--store=s.castr', 'a', 'b'],
    ['--store=s.castr', 'a', 'x.caibx', '--keep=k'],
    ['--store=s.castr', 'a', 'x.caibx', '--if-source-changed=retry=2'],
    ['--store=s.castr', 'a', 'x.caibx', '--chunking=cdc'],
    ['--store=s.castr', '--name=image', 'a', '--check'],
    ['-', 'folder'],
    ['a', 'missing/'],
  ]) {
    const result = await run('sync', ...words);
    t.is(result.status, 1, describeRun(result));
  }
  t.true(fs.readFileSync(join(cwd, 'x.caibx')).equals(index));
  t.true(isEqual('got', 'b'));
});

test('figures are told as JSON, and in words to those who ask', async (t) => {
  const { run } = prepare(t);
  const dry = await succeed(run('sync', 'a', 'd', '--dry-run'));
  t.is(dry.stdout.toString(), 'a -> d: 4096 blocks (16.0M of 16.0M) would be written\n');
  await succeed(run('sync', 'a', 'd'));
  const result = await succeed(run('sync', 'b', 'd', '--stats=json', '-v'));
  const lines = result.stderr.toString().split('\n');
  const line = lines.find((text) => text.startsWith('{')) ?? '';
  const { verb, changedBlocks, destinationReadBytes, wasMapClean } = JSON.parse(line);
  t.deepEqual(
    { verb, changedBlocks, destinationReadBytes, wasMapClean },
    { verb: 'sync', changedBlocks: CHANGED, destinationReadBytes: 0, wasMapClean: true },
  );
  t.true(lines.some((text) => text.startsWith('Changed: 40 blocks')));
});
