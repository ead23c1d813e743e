/** `sync` of the library (spec/images.md, "Sync"). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type SyncOptions, sync as syncWithThreads } from '../../../lib/api/sync.node.ts';
import { verify } from '../../../lib/api/verify.node.ts';
import { noise } from '../../helpers/golden.ts';
import { type ImagePair, writeImagePair } from '../../helpers/image-pair.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

/**
 * Without threads: in a source checkout each starts a compiler, a process that inherits for a moment
 * what another test has locked.
 */
const sync = (options: SyncOptions) => syncWithThreads({ threadCount: 0, ...options });

const MIB = 2 ** 20;
const PAGE = 4096;

interface Images extends ImagePair {
  readonly before: string;
  readonly after: string;
  readonly destination: string;
  readonly folder: string;
}

/** Two versions, and a destination that has the first one and a map. */
async function prepare(t: ExecutionContext, size = 12 * MIB): Promise<Images> {
  const folder = temporaryFolder(t);
  const [before, after, destination] = ['a', 'b', 'd'].map((name) => join(folder, name));
  const pair = writeImagePair(before, after, { size, changedPages: 40 });
  await sync({ input: before, destination });
  return { ...pair, folder, before, after, destination };
}

function equal(a: string, b: string): boolean {
  return fs.readFileSync(a).equals(fs.readFileSync(b));
}

/** Whether the destination is what its map says. */
async function isTrue(destination: string): Promise<boolean> {
  const expected = { input: `${destination}.caibx` };
  return (await verify({ expected, target: { input: destination }, threadCount: 0 })).isGood;
}

test('with a map only changed blocks are written, and nothing is read of the destination', async (t) => {
  const { after, destination, changed, zeroed } = await prepare(t);
  const result = await sync({ input: after, destination });
  t.true(equal(after, destination));
  t.true(result.wasMapClean);
  t.is(result.changedBlocks, changed.length);
  t.is(result.destinationReadBytes, 0);
  t.is(result.sourceReadBytes, fs.statSync(after).size);
  t.is(result.writtenBytes, (changed.length - zeroed.length) * PAGE);
  t.is(result.holeBytes, zeroed.length * PAGE);
  t.true(await isTrue(destination));
});

test('a source that has not changed changes nothing', async (t) => {
  const { before, destination } = await prepare(t);
  const paths = [destination, `${destination}.caibx`, `${destination}.caibx.state`];
  const dates = () => paths.map((path) => fs.statSync(path, { bigint: true }).mtimeNs);
  const earlier = dates();
  const result = await sync({ input: before, destination });
  t.is(result.changedBlocks, 0);
  t.deepEqual(dates(), earlier);
});

test('a dry run says what would be written, and what would be the root', async (t) => {
  const { after, destination, changed, folder } = await prepare(t);
  const names = fs.readdirSync(folder);
  const { mtimeMs } = fs.statSync(destination);
  const dry = await sync({ input: after, destination, dryRun: true });
  t.is(dry.changedBlocks, changed.length);
  t.is(dry.writtenBytes, 0);
  t.is(fs.statSync(destination).mtimeMs, mtimeMs);
  t.deepEqual(fs.readdirSync(folder), names);
  const missing = join(folder, 'missing');
  t.is((await sync({ input: after, destination: missing, dryRun: true })).root, dry.root);
  t.false(fs.existsSync(missing));
  t.is((await sync({ input: after, destination })).root, dry.root);
});

const SIZES = [0, 1, 4095, 4096, 4097, 3 * MIB, 5 * MIB + 123];

test('destinations grow and shrink to any size, also from streams', async (t) => {
  const folder = temporaryFolder(t);
  const [source, destination] = ['s', 'd'].map((name) => join(folder, name));
  for (const [i, size] of [...SIZES, ...SIZES.toReversed()].entries()) {
    const bytes = noise(size, i);
    // Zeros at the end are no reason to be short.
    bytes.fill(0, Math.max(0, size - 5000));
    fs.writeFileSync(source, bytes);
    const input = i % 3 === 0 ? fs.createReadStream(source) : source;
    const { size: found } = await sync({ input, destination });
    t.is(found, size);
    t.true(equal(source, destination), `${size}`);
    t.true(await isTrue(destination), `${size}`);
  }
});

test('sizes that the policy does not allow are refused before anything is written', async (t) => {
  const { before, destination, folder } = await prepare(t);
  const longer = join(folder, 'longer');
  fs.writeFileSync(longer, noise(13 * MIB));
  const refused = () => sync({ input: longer, destination, size: 'exact' });
  await t.throwsAsync(refused, { code: 'TARGET_FULL' });
  t.true(equal(before, destination));
  await sync({ input: longer, destination, size: 'common' });
  const begin = fs.readFileSync(longer).subarray(0, 12 * MIB);
  t.true(fs.readFileSync(destination).equals(begin));
});

test('holes are not read and stay holes', async (t) => {
  const folder = temporaryFolder(t);
  const [source, destination] = ['s', 'd'].map((name) => join(folder, name));
  fs.writeFileSync(source, noise(MIB));
  fs.truncateSync(source, 512 * MIB);
  const result = await sync({ input: source, destination, map: 'none' });
  t.true(result.sourceReadBytes <= 2 * MIB);
  t.is(fs.statSync(destination).size, 512 * MIB);
  t.true(fs.statSync(destination).blocks * 512 <= 2 * MIB);
});

test('a file and its own destination, also by another name, are told apart from others', async (t) => {
  const { destination, folder } = await prepare(t);
  const link = join(folder, 'link');
  fs.linkSync(destination, link);
  await t.throwsAsync(() => sync({ input: link, destination }), { code: 'UNSAFE_TARGET' });
});

/** Changes the source when some of it has been read. */
function changing(path: string, change: (file: number) => void, times = 1) {
  let left = times;
  let last = Number.POSITIVE_INFINITY;
  const onProgress: SyncOptions['onProgress'] = ({ phase, doneBytes }) => {
    const isNewPass = doneBytes < last;
    last = doneBytes;
    if (phase !== 'sync' || !isNewPass || left === 0) return;
    left -= 1;
    const file = fs.openSync(path, 'r+');
    change(file);
    fs.closeSync(file);
  };
  return onProgress;
}

/** Behind what is read ahead, and before it. */
function scribble(file: number): void {
  for (const offset of [0, 11 * MIB])
    fs.writeSync(file, noise(PAGE, Math.random()), 0, PAGE, offset);
}

test('a source that is modified meanwhile fails, and the destination is what its map says', async (t) => {
  const { after, destination } = await prepare(t);
  const onProgress = changing(after, scribble);
  const work = () => sync({ input: after, destination, onProgress });
  await t.throwsAsync(work, { code: 'SOURCE_CHANGED', message: /modified while it was read/ });
  t.true(await isTrue(destination));
  await sync({ input: after, destination });
  t.true(equal(after, destination));
});

test('a source that becomes shorter or longer meanwhile fails, and the next run ends right', async (t) => {
  for (const size of [MIB, 13 * MIB]) {
    const { after, destination } = await prepare(t);
    const onProgress = changing(after, (file) => fs.ftruncateSync(file, size));
    const work = () => sync({ input: after, destination, onProgress });
    await t.throwsAsync(work, { code: 'SOURCE_CHANGED' });
    await sync({ input: after, destination });
    t.true(equal(after, destination));
    t.true(await isTrue(destination));
  }
});

test('a change is only told if it shall be, or the source is read again', async (t) => {
  const { after, destination } = await prepare(t);
  const warnings: string[] = [];
  const onWarning = (text: string): void => void warnings.push(text);
  const warned = await sync({
    ...{ input: after, destination, onWarning },
    onProgress: changing(after, scribble),
    ifSourceChanged: 'warn',
  });
  t.regex(warned.sourceChange ?? '', /modified/);
  t.is(warnings.length, 1);
  const repeated = await sync({
    ...{ input: after, destination, onWarning },
    onProgress: changing(after, scribble, 2),
    ifSourceChanged: { retries: 3 },
  });
  t.is(repeated.passCount, 3);
  t.is(repeated.sourceChange, undefined);
  t.true(equal(after, destination));
  const neverStill = () =>
    sync({
      ...{ input: after, destination, onWarning },
      onProgress: changing(after, scribble, 9),
      ifSourceChanged: { retries: 1 },
    });
  await t.throwsAsync(neverStill, { code: 'SOURCE_CHANGED' });
});

test('an end by a signal leaves what the next run goes on with', async (t) => {
  const { after, destination } = await prepare(t);
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  const work = () => sync({ input: after, destination, signal: controller.signal, onProgress });
  await t.throwsAsync(work, { code: 'ABORTED' });
  const result = await sync({ input: after, destination });
  t.is(result.destinationReadBytes, 0);
  t.true(equal(after, destination));
});

test('what is written is read again, and all of it if that is wanted', async (t) => {
  const { after, destination } = await prepare(t);
  await sync({ input: after, destination, verify: 'written' });
  await sync({ input: after, destination, verify: 'full' });
  t.true(equal(after, destination));
});
