/** Looking after maps (spec/api.md, spec/images.md, "`map ACTION FILE`"). */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type MapAction, type MapOptions, map } from '../../../lib/api/map.node.ts';
import { sync } from '../../../lib/api/sync.node.ts';
import { openImageUpdate } from '../../../lib/images/destination/update-image.node.ts';
import { noise } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const KIB = 1024;
const PAGE = 4096;

function place(t: ExecutionContext<unknown>, image = noise(100 * KIB)) {
  const folder = temporaryFolder(t);
  mkdirSync(folder, { recursive: true });
  const [source, destination] = ['source', 'dst'].map((name) => join(folder, name));
  writeFileSync(source, image);
  const bring = () => sync({ input: source, destination, threadCount: 0 });
  const look = (action: MapAction, options: Partial<MapOptions> = {}) =>
    map({ action, destination, threadCount: 0, ...options });
  const condition = async () => (await look('show')).map?.condition;
  const mapPath = `${destination}.caibx`;
  return { source, destination, mapPath, bring, look, condition, image };
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] ^= 1;
  writeFileSync(path, bytes);
}

test('a map says what it is about, and that it is clean', async (t) => {
  const { bring, look, mapPath, image } = place(t);
  const { root } = await bring();
  const { map: shown } = await look('show');
  t.like(shown, { mapPath, condition: 'clean', digest: 'sha256', blockSize: PAGE, root });
  t.like(shown, { size: image.length, journalRecords: 0, openBlocks: 0 });
});

test('a map tells of an update that was cut off, and checking sees what it left', async (t) => {
  const { source, destination, bring, look } = place(t);
  await bring();
  const update = await openImageUpdate(destination, { size: 100 * KIB });
  const bytes = noise(PAGE, 3);
  await update.write({ first: 2, count: 1 }, new Uint8Array(32).fill(9), bytes);
  await update.abandon();
  const { map: shown } = await look('show');
  t.like(shown, { condition: 'interrupted', journalRecords: 3, openBlocks: 0 });
  const differences: object[] = [];
  const onDifference: MapOptions['onDifference'] = (difference) => differences.push(difference);
  t.like(await look('check', { onDifference }), { isGood: false, differentBlocks: 1 });
  t.deepEqual(differences, [{ start: 2 * PAGE, end: 3 * PAGE }]);
  await bring();
  t.deepEqual(readFileSync(destination), readFileSync(source));
  t.like(await look('check'), { isGood: true });
});

test('a destination that was changed is stale, and a map is rebuilt from it', async (t) => {
  const { destination, bring, look, condition } = place(t);
  await bring();
  flip(destination, 5000);
  t.is(await condition(), 'stale');
  t.like(await look('check'), { isGood: false, differentBlocks: 1, readBytes: 100 * KIB });
  const before = readFileSync(destination);
  t.like(await look('rebuild'), { readBytes: 100 * KIB });
  t.deepEqual(readFileSync(destination), before);
  t.is(await condition(), 'clean');
  t.like(await bring(), { destinationReadBytes: 0, writtenBytes: PAGE });
});

test('rebuilding can take another block size and digest, and a damaged map', async (t) => {
  const { mapPath, bring, look } = place(t);
  await bring();
  flip(`${mapPath}.state`, 100);
  await t.throwsAsync(() => look('show'), { code: 'VERIFY_FAILED', message: /map bind, rebuild/ });
  await look('rebuild', { blockSize: 8192, digest: 'blake2b-256' });
  t.like((await look('show')).map, { blockSize: 8192, digest: 'blake2b-256', condition: 'clean' });
  t.like(await bring(), { destinationReadBytes: 0, writtenBytes: 0 });
});

test('a map is bound to a destination that has the same content, and to no other', async (t) => {
  const { source, destination, mapPath, bring, look, condition } = place(t);
  await bring();
  copyFileSync(destination, `${destination}2`);
  rmSync(destination);
  t.is(await condition(), 'foreign');
  copyFileSync(`${destination}2`, destination);
  t.is(await condition(), 'foreign');
  await t.throwsAsync(bring, { code: 'UNSAFE_TARGET' });
  flip(destination, 9000);
  await t.throwsAsync(() => look('bind', { check: true }), { code: 'VERIFY_FAILED' });
  t.is(await condition(), 'foreign');
  flip(destination, 9000);
  t.like(await look('bind', { check: true }), { readBytes: 100 * KIB });
  t.is(await condition(), 'clean');
  t.like(await bring(), { destinationReadBytes: 0, writtenBytes: 0 });
  truncateSync(destination, 50_000);
  const sizes = { code: 'UNSAFE_TARGET', message: /102400 bytes, the destination has 50000/ };
  await t.throwsAsync(() => look('bind'), sizes);
  t.true(existsSync(source) && statSync(mapPath).size > 0);
});

test('an index of blocks becomes a map by binding it', async (t) => {
  const { mapPath, bring, look } = place(t);
  await bring();
  rmSync(`${mapPath}.state`);
  await t.throwsAsync(bring, { code: 'UNSAFE_TARGET' });
  t.like(await look('bind'), { readBytes: 0 });
  t.like(await bring(), { destinationReadBytes: 0, writtenBytes: 0 });
});

test('a map that is forgotten is gone, also without its destination', async (t) => {
  const { destination, mapPath, bring, look } = place(t);
  await t.throwsAsync(() => look('show'), { code: 'INDEX_MISSING' });
  await bring();
  rmSync(destination);
  await look('forget');
  t.false(existsSync(mapPath) || existsSync(`${mapPath}.state`));
  await t.throwsAsync(() => look('forget'), { code: 'INDEX_MISSING' });
  t.like(await bring(), { writtenBytes: 100 * KIB });
});
