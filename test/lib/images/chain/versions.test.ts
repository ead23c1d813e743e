/** Version chains: what was put comes back, whatever was forgotten, swept or damaged meanwhile. */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isCasError } from '../../../../formats/errors.ts';
import { gc } from '../../../../lib/api/gc.node.ts';
import { getVersion } from '../../../../lib/api/get-version.node.ts';
import { putVersion } from '../../../../lib/api/put-version.node.ts';
import { syncStore } from '../../../../lib/api/sync-store.node.ts';
import { verify } from '../../../../lib/api/verify.node.ts';
import { pruneVersions, tagVersion, versions } from '../../../../lib/api/versions.node.ts';
import { noise } from '../../../helpers/golden.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const BLOCK = 4096;
const MIB = 1024 * 1024;

interface Chain {
  readonly folder: string;
  readonly options: { readonly store: string; readonly name: string; readonly threadCount: number };
  readonly images: readonly Buffer[];
}

function changed(image: Buffer, seed: number, size = image.length): Buffer {
  const next = Buffer.alloc(size);
  image.copy(next);
  for (let i = 0; i < 20; i++) {
    const block = (seed * 7919 + i * 104_729) % Math.floor(size / BLOCK);
    next.set(i % 5 === 0 ? new Uint8Array(BLOCK) : noise(BLOCK, seed * 100 + i + 1), block * BLOCK);
  }
  return next;
}

/** Versions that grow and shrink, to odd sizes also. */
async function chainOf(t: ExecutionContext, threadCount = 1): Promise<Chain> {
  const folder = temporaryFolder(t);
  const options = { store: join(folder, 's.castr'), name: 'disk', threadCount };
  const first = Buffer.concat([noise(2 * MIB), Buffer.alloc(MIB + 5)]);
  const second = changed(first, 1);
  const third = changed(second, 2, 2 * MIB - 100);
  const fourth = changed(third, 3, 4 * MIB);
  const images = [first, second, third, fourth, changed(fourth, 4)];
  for (const [i, image] of images.entries()) {
    const input = join(folder, 'image');
    writeFileSync(input, image);
    const { id, statistics } = await putVersion({ ...options, input, tag: `v${i}` });
    t.regex(id, /^[0-9a-f]{16}$/);
    t.is(statistics.imageBytes, image.length);
  }
  return { folder, options, images };
}

async function restored({ folder, options }: Chain, at: string): Promise<Buffer> {
  const output = join(folder, `out-${at}`);
  await getVersion({ ...options, at, output });
  const bytes = readFileSync(output);
  rmSync(output);
  return bytes;
}

async function assertAll(t: ExecutionContext, chain: Chain, wanted: readonly number[]) {
  for (const i of wanted) {
    t.true((await restored(chain, `v${i}`)).equals(chain.images[i]), `version ${i}`);
  }
}

async function isGood(chain: Chain): Promise<boolean> {
  return (await verify({ expected: { input: chain.options.store } })).isGood;
}

/** The contents of blocks. */
function blocksOf(image: Buffer): readonly string[] {
  const count = Math.ceil(image.length / BLOCK);
  return Array.from({ length: count }, (_, i) =>
    image.toString('latin1', i * BLOCK, (i + 1) * BLOCK),
  );
}

/** Bytes of blocks that are not the same in their place. */
function differing(before: Buffer, after: Buffer): number {
  const old = blocksOf(before);
  return blocksOf(after).reduce((sum, block, i) => sum + (block === old[i] ? 0 : block.length), 0);
}

function storedBytes(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name));
  return paths.reduce((sum, path) => sum + statSync(path).size, 0);
}

for (const threadCount of [0, 2]) {
  test(`every version comes back, ${threadCount} threads`, async (t) => {
    const chain = await chainOf(t, threadCount);
    await assertAll(t, chain, [0, 1, 2, 3, 4]);
    t.true(await isGood(chain));
    const found = await versions(chain.options);
    t.deepEqual(
      found.map(({ number, size }) => [number, size]),
      chain.images.map((image, i) => [i + 1, image.length]),
    );
  });
}

test('a put stores what is new, in one pack', async (t) => {
  const chain = await chainOf(t);
  const { store } = chain.options;
  t.is(readdirSync(join(store, 'packs')).length, 5);
  const before = storedBytes(store);
  const input = join(chain.folder, 'image');
  const same = await putVersion({ ...chain.options, input });
  t.is(same.statistics.newChunkCount, 0);
  t.true(storedBytes(store) - before < 1000);
  const next = changed(chain.images[4], 9);
  writeFileSync(input, next);
  const { statistics } = await putVersion({ ...chain.options, input });
  const known = new Set(chain.images.flatMap(blocksOf));
  t.is(statistics.newChunkCount, new Set(blocksOf(next).filter((block) => !known.has(block))).size);
  t.is(statistics.changedBytes, differing(chain.images[4], next));
  t.is(readdirSync(join(store, 'packs')).length, 6);
});

for (const threadCount of [0, 1, 3]) {
  test(`${threadCount} threads: what an image has often is stored once`, async (t) => {
    const folder = temporaryFolder(t);
    const block = noise(BLOCK, 5);
    const image = Buffer.alloc(24 * MIB + 100);
    // Everywhere the same block and the same pair of blocks, so that jobs at the same time have the same ones.
    for (let at = 0; at + 8 * BLOCK <= image.length; at += 8 * BLOCK) {
      image.set(block, at);
      image.set(noise(2 * BLOCK, 6), at + 3 * BLOCK);
      image.set(noise(BLOCK, 10 + (at % 77)), at + 6 * BLOCK);
    }
    const options = { store: join(folder, 's.castr'), name: 'disk', threadCount };
    writeFileSync(join(folder, 'image'), image);
    const { statistics } = await putVersion({ ...options, input: join(folder, 'image') });
    t.is(statistics.newChunkCount, new Set(blocksOf(image)).size);
    await getVersion({ ...options, output: join(folder, 'out') });
    t.true(readFileSync(join(folder, 'out')).equals(image));
  });
}

test('an index that is there says what has changed, and nothing of what the store has', async (t) => {
  const folder = temporaryFolder(t);
  const [index, input] = [join(folder, 'x.caibx'), join(folder, 'image')];
  const first = Buffer.concat([noise(12 * MIB + 7)]);
  const second = changed(first, 1);
  const third = changed(second, 2, 11 * MIB);
  const wanted = [first.length, differing(first, second), differing(second, third)];
  for (const [i, image] of [first, second, third].entries()) {
    writeFileSync(input, image);
    const store = join(folder, `${i}.castr`);
    const { isChanged, statistics } = await syncStore({ input, index, store });
    t.true(isChanged);
    t.is(statistics.changedBytes, wanted[i]);
    t.is(statistics.newChunkCount, new Set(blocksOf(image)).size);
    t.true((await verify({ expected: { input: index, store } })).isGood);
    const again = await syncStore({ input, index, store });
    t.false(again.isChanged);
    t.like(again.statistics, { changedBytes: 0, newChunkCount: 0 });
  }
});

test('a version from a stream is that of the file', async (t) => {
  const { folder, options, images } = await chainOf(t);
  async function* pieces() {
    for (let at = 0; at < images[2].length; at += 70_001) yield images[2].subarray(at, at + 70_001);
  }
  const { root } = await putVersion({ ...options, input: pieces() });
  const found = await versions(options);
  t.is(root, found[2].root);
  t.true((await restored({ folder, options, images }, 'latest')).equals(images[2]));
});

test('streams of any size follow each other, in chains and with an index', async (t) => {
  const folder = temporaryFolder(t);
  const chain = { store: join(folder, 's.castr'), name: 'disk' };
  const indexed = { store: join(folder, 'i.castr'), index: join(folder, 'x.caibx') };
  const base = Buffer.concat([noise(3 * BLOCK), Buffer.alloc(2 * BLOCK), noise(3 * BLOCK, 2)]);
  const sizes = [3 * BLOCK + 5, 8, 8 * BLOCK, 4 * BLOCK + 9, 3, 5 * BLOCK, 5 * BLOCK + 1, 0, 9, 8];
  for (const [i, size] of [...sizes, ...sizes.toReversed()].entries()) {
    const image = base.subarray(0, size > 8 ? size : size * BLOCK);
    for (const isZero of [false, true]) {
      const last = isZero ? Buffer.alloc(i % 3 === 0 ? 5 : BLOCK + 5) : Buffer.alloc(0);
      const wanted = Buffer.concat([image, last]);
      async function* pieces() {
        yield wanted.subarray(0, 7000);
        yield wanted.subarray(7000);
      }
      const { id, root } = await putVersion({ ...chain, blockSize: BLOCK, input: pieces() });
      const output = join(folder, 'out');
      await getVersion({ ...chain, at: id, output });
      t.true(readFileSync(output).equals(wanted), `version ${i} of ${wanted.length} bytes`);
      const synced = await syncStore({ ...indexed, blockSize: BLOCK, input: pieces() });
      t.is(synced.root, root);
      const expected = { input: indexed.index, store: indexed.store };
      t.true((await verify({ expected })).isGood, `index ${i}`);
    }
  }
  t.true((await verify({ expected: { input: chain.store } })).isGood);
});

test('onto an image that is there only what differs is written', async (t) => {
  const { folder, options, images } = await chainOf(t);
  const output = join(folder, 'disk');
  writeFileSync(output, images[3]);
  const { statistics } = await getVersion({ ...options, at: 'v4', output });
  t.true(readFileSync(output).equals(images[4]));
  const different = differing(images[3], images[4]);
  t.is(statistics.keptBytes, images[4].length - different);
  t.true(statistics.fetchedBytes <= different);
  const again = await getVersion({ ...options, at: 'v4', output });
  t.deepEqual([again.statistics.fetchedBytes, again.statistics.writtenBytes], [0, 0]);
});

test('a version as an index is read with the store like any other', async (t) => {
  const { folder, options, images } = await chainOf(t);
  const output = join(folder, 'v.caibx');
  await getVersion({ ...options, at: '-1', output });
  const { store } = options;
  const result = await verify({
    expected: { input: output, store },
    target: { input: images[3], label: 'image' },
  });
  t.true(result.isGood);
  t.true((await verify({ expected: { input: output, store } })).isGood);
});

for (const forget of [['v2'], ['v0'], ['v1', 'v2', 'v3'], ['v4'], ['v0', 'v3']]) {
  test(`forgetting ${forget.join(' and ')} leaves all others as they were`, async (t) => {
    const chain = await chainOf(t);
    const { forgotten } = await pruneVersions({ ...chain.options, forget });
    t.is(forgotten.length, forget.length);
    const left = [0, 1, 2, 3, 4].filter((i) => !forget.includes(`v${i}`));
    await assertAll(t, chain, left);
    const { store } = chain.options;
    const { removedCount } = await gc({ store, indexes: [] });
    t.true(removedCount > 0 || forget[0] === 'v0');
    await assertAll(t, chain, left);
    t.true(await isGood(chain));
    t.is((await gc({ store, indexes: [] })).removedCount, 0);
  });
}

test('when all but one version are forgotten, the store has what a new one would have', async (t) => {
  const chain = await chainOf(t);
  const { store } = chain.options;
  for (const tag of ['v0', 'v1', 'v2', 'v3', 'v4']) {
    await tagVersion({ ...chain.options, tag, at: undefined });
  }
  const planned = await pruneVersions({ ...chain.options, keep: { last: 1 }, dryRun: true });
  t.is(planned.forgotten.length, 4);
  t.is((await versions(chain.options)).length, 5);
  await pruneVersions({ ...chain.options, keep: { last: 1 } });
  await gc({ store, indexes: [] });
  const input = join(chain.folder, 'image');
  const other = { ...chain.options, store: join(chain.folder, 'o.castr') };
  await putVersion({ ...other, input });
  const most = storedBytes(other.store) + 5 * 2000;
  t.true(storedBytes(store) <= most, `${storedBytes(store)} and ${most}`);
  t.true((await restored(chain, 'latest')).equals(chain.images[4]));
});

test('a version with a further name is kept by rules, and goes when it is named', async (t) => {
  const chain = await chainOf(t);
  const kept = await pruneVersions({ ...chain.options, keep: { last: 1 } });
  t.is(kept.forgotten.length, 0);
  await t.throwsAsync(pruneVersions({ ...chain.options, keep: { last: 0 } }), { code: 'USAGE' });
  await t.throwsAsync(pruneVersions({ ...chain.options }), { code: 'USAGE' });
  await pruneVersions({ ...chain.options, forget: ['v4'] });
  await t.throwsAsync(restored(chain, 'v4'), { code: 'INDEX_MISSING' });
});

test('gc keeps what named indexes need, and never touches what it cannot read', async (t) => {
  const { folder, options, images } = await chainOf(t);
  const index = join(folder, 'v1.caibx');
  await getVersion({ ...options, at: 'v1', output: index });
  await pruneVersions({ ...options, forget: ['v0', 'v1', 'v2', 'v3'] });
  const { store } = options;
  await gc({ store, indexes: [index] });
  const result = await verify({ expected: { input: index, store } });
  t.true(result.isGood);
  const packs = join(store, 'packs');
  const [pack] = readdirSync(packs);
  const damaged = readFileSync(join(packs, pack));
  damaged[damaged.length - 70] ^= 1;
  rmSync(join(packs, pack));
  writeFileSync(join(packs, pack), damaged);
  const events: string[] = [];
  await gc({ store, indexes: [], onEvent: ({ kind }) => events.push(kind) });
  t.true(events.includes('damaged-pack'));
  t.true(readdirSync(packs).includes(pack));
  t.true(images.length > 0);
});

test('a version that cannot be read stops gc before anything is removed', async (t) => {
  const { options } = await chainOf(t);
  const chain = join(options.store, 'chains/disk');
  const [version] = readdirSync(chain).filter((name) => name.endsWith('.caver'));
  const bytes = readFileSync(join(chain, version));
  writeFileSync(join(chain, version), bytes.subarray(0, -1));
  const before = readdirSync(join(options.store, 'packs'));
  await t.throwsAsync(gc({ store: options.store, indexes: [] }), { code: 'FORMAT' });
  t.deepEqual(readdirSync(join(options.store, 'packs')), before);
});

test('no flipped byte of a pack or version gives another image', async (t) => {
  const folder = temporaryFolder(t);
  const options = { store: join(folder, 's.castr'), name: 'disk', threadCount: 0 };
  const image = Buffer.concat([noise(2 * 512), Buffer.alloc(512, 'text'), Buffer.alloc(700)]);
  const input = join(folder, 'image');
  writeFileSync(input, image);
  await putVersion({ ...options, input, blockSize: 512 });
  const files = readdirSync(options.store, { recursive: true, encoding: 'utf8' })
    .map((name) => join(options.store, name))
    .filter((path) => statSync(path).isFile());
  t.is(files.length, 2);
  let noticed = 0;
  for (const path of files) {
    const good = readFileSync(path);
    const step = Math.max(1, Math.floor(good.length / 150));
    for (let at = 0; at < good.length; at += step) {
      const bad = Buffer.from(good);
      bad[at] ^= 0x10;
      rmSync(path);
      writeFileSync(path, bad);
      const output = join(folder, 'out');
      try {
        await getVersion({ ...options, output });
        t.true(readFileSync(output).equals(image), `${path} byte ${at}`);
        rmSync(output);
      } catch (error) {
        t.true(isCasError(error), `${path} byte ${at}: ${error}`);
        noticed += 1;
      }
      const { isGood: isStoreGood } = await verify({ expected: { input: options.store } });
      t.false(isStoreGood, `${path} byte ${at} escapes verify`);
    }
    rmSync(path);
    writeFileSync(path, good);
  }
  t.true(noticed > 0);
});
