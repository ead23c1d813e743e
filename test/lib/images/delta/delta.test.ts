/** Deltas of blocks and pieces: made, applied, composed and taken back (spec/formats/delta.md). */
import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import test from 'ava';
import { compose } from '../../../../lib/api/compose.node.ts';
import { makeIndex } from '../../../../lib/api/make-index.node.ts';
import { patch } from '../../../../lib/api/patch.node.ts';
import { noise } from '../../../helpers/golden.ts';
import { BLOCK, changedImage, createRandom, DeltaFolder, imageOf } from './delta-images.ts';

const SEED = 20_201_210;
/** Lengths of three versions: grown, shrunk, odd, empty. */
const SIZES: readonly (readonly [number, number, number])[] = [
  [40 * BLOCK, 40 * BLOCK, 40 * BLOCK],
  [40 * BLOCK + 17, 60 * BLOCK + 5, 40 * BLOCK + 18],
  [60 * BLOCK, 10 * BLOCK + 1, 90 * BLOCK + 100],
  [10 * BLOCK + 300, 10 * BLOCK + 200, 10 * BLOCK],
  [0, 5 * BLOCK + 1, 1],
  [7, 7, 3 * BLOCK],
];

for (const [i, sizes] of SIZES.entries()) {
  for (const chunking of ['fixed', 'cdc'] as const) {
    test(`${chunking}: versions of ${sizes} bytes follow each other, and go back`, async (t) => {
      const random = createRandom(SEED + i);
      const folder = new DeltaFolder(t);
      const a = imageOf(random, sizes[0]);
      const b = changedImage(random, a, sizes[1]);
      const c = changedImage(random, b, sizes[2]);
      for (const [name, content] of Object.entries({ a, b, c })) folder.write(name, content);
      const chunks = { chunking };
      await folder.delta('ab', 'a', 'b', chunks);
      const { base, result } = await folder.delta('bc', 'b', 'c', chunks);
      t.is(base.size, sizes[1]);
      t.is(result.size, sizes[2]);
      const output = folder.at('ac');
      await compose({ deltas: [folder.at('ab'), folder.at('bc')], output });
      const both = [folder.at('ab'), folder.at('bc')];
      const x = folder.write('x', a);
      await patch({ base: x, deltas: both, undo: folder.at('ca'), threadCount: 0 });
      t.true(folder.read('x').equals(c), 'both deltas');
      const again = await patch({ base: x, deltas: both });
      t.true(again.wasPatched);
      await patch({ base: x, deltas: [folder.at('ca')], reverse: true });
      t.true(folder.read('x').equals(a), 'undone');
      await patch({ base: x, deltas: [folder.at('ac')], output: folder.at('y') });
      t.true(folder.read('y').equals(c), 'composed');
      t.true(folder.read('x').equals(a), 'the base of a new file stays');
      const left = readdirSync(folder.path).sort();
      t.deepEqual(left, ['a', 'ab', 'ac', 'b', 'bc', 'c', 'ca', 'x', 'y']);
    });
  }
}

test('a composed delta does what a delta of the ends does', async (t) => {
  const random = createRandom(SEED);
  const folder = new DeltaFolder(t);
  const a = imageOf(random, 50 * BLOCK + 9);
  const b = changedImage(random, a, 70 * BLOCK);
  // Back to where it was, but for some blocks.
  const c = changedImage(random, a);
  for (const [name, content] of Object.entries({ a, b, c })) folder.write(name, content);
  await folder.delta('ab', 'a', 'b');
  await folder.delta('bc', 'b', 'c');
  const direct = await folder.delta('ac', 'a', 'c');
  const deltas = [folder.at('ab'), folder.at('bc')];
  const composed = await compose({ deltas, output: folder.at('abc') });
  t.deepEqual(folder.read('abc'), folder.read('ac'));
  t.is(composed.dataBytes, direct.dataBytes);
});

test('an insertion costs its own bytes and two chunks', async (t) => {
  const folder = new DeltaFolder(t);
  const a = Buffer.from(noise(16_000_000));
  const b = Buffer.concat([a.subarray(0, 7_000_001), noise(1000, 2), a.subarray(7_000_001)]);
  folder.write('a', a);
  folder.write('b', b);
  const { chunking, deltaBytes } = await folder.delta('ab', 'a', 'b', { chunking: 'auto' });
  t.is(chunking, 'cdc');
  t.true(deltaBytes < 40_000, `${deltaBytes} bytes`);
  const x = folder.write('x', a);
  await patch({ base: x, deltas: [folder.at('ab')] });
  t.true(folder.read('x').equals(b));
});

test('an index serves as base as well as the image does', async (t) => {
  const random = createRandom(SEED);
  const folder = new DeltaFolder(t);
  const a = folder.write('a', imageOf(random, 300 * BLOCK + 5));
  folder.write('b', changedImage(random, folder.read('a')));
  for (const chunking of ['fixed', 'cdc'] as const) {
    const output = folder.at(`${chunking}.caibx`);
    await makeIndex({ input: a, output, chunking, threadCount: 0 });
    const options = { base: output, chunking: 'auto' } as const;
    const made = await folder.delta(`by-${chunking}`, 'a', 'b', options);
    t.is(made.chunking, chunking);
    const x = folder.write('x', folder.read('a'));
    await patch({ base: x, deltas: [folder.at(`by-${chunking}`)] });
    t.true(folder.read('x').equals(folder.read('b')));
  }
  await folder.delta('by-image', 'a', 'b');
  t.deepEqual(folder.read('by-image'), folder.read('by-fixed'));
  const wrong = folder.delta('no', 'a', 'b', {
    base: folder.at('cdc.caibx'),
    chunking: 'fixed',
  });
  await t.throwsAsync(wrong, { code: 'USAGE' });
});

test('a delta of a stream is that of the file', async (t) => {
  const random = createRandom(SEED);
  const folder = new DeltaFolder(t);
  folder.write('a', imageOf(random, 100 * BLOCK + 5));
  const b = changedImage(random, folder.read('a'), 120 * BLOCK + 1);
  folder.write('b', b);
  const pieces = [b.subarray(0, 5000), b.subarray(5000, 5001), b.subarray(5001)];
  for (const chunking of ['fixed', 'cdc'] as const) {
    await folder.delta('file', 'a', 'b', { chunking });
    const input = (async function* () {
      yield* pieces;
    })();
    await folder.delta('stream', 'a', 'b', { chunking, input });
    t.deepEqual(folder.read('stream'), folder.read('file'));
  }
});

test('equal images make a delta without records, which changes nothing', async (t) => {
  const folder = new DeltaFolder(t);
  const a = folder.write('a', imageOf(createRandom(SEED), 20 * BLOCK));
  const { deltaBytes, changedBytes } = await folder.delta('aa', 'a', 'a');
  t.is(deltaBytes, 96 + 136);
  t.is(changedBytes, 0);
  const { mtimeMs } = statSync(a);
  const result = await patch({ base: a, deltas: [folder.at('aa')] });
  t.true(result.wasPatched);
  t.is(statSync(a).mtimeMs, mtimeMs);
});

test('deltas that do not follow each other, or are of two kinds, are refused', async (t) => {
  const random = createRandom(SEED);
  const folder = new DeltaFolder(t);
  const a = folder.write('a', imageOf(random, 50 * BLOCK));
  folder.write('b', changedImage(random, folder.read('a')));
  await folder.delta('ab', 'a', 'b');
  await folder.delta('cdc', 'b', 'a', { chunking: 'cdc' });
  const before = folder.read('a');
  for (const names of [
    ['ab', 'ab'],
    ['ab', 'cdc'],
  ]) {
    const deltas = names.map((name) => folder.at(name));
    await t.throwsAsync(patch({ base: a, deltas }), { code: 'USAGE' });
    await t.throwsAsync(compose({ deltas, output: folder.at('out') }), { code: 'USAGE' });
  }
  await t.throwsAsync(patch({ base: a, deltas: [folder.at('ab')], reverse: true }), {
    code: 'USAGE',
    message: /--undo/,
  });
  t.true(folder.read('a').equals(before));
  t.false(existsSync(folder.at('out')));
});

test('a base of another length is refused', async (t) => {
  const random = createRandom(SEED);
  const folder = new DeltaFolder(t);
  const a = folder.write('a', imageOf(random, 50 * BLOCK));
  folder.write('b', changedImage(random, folder.read('a')));
  await folder.delta('ab', 'a', 'b');
  truncateSync(a, 49 * BLOCK);
  await t.throwsAsync(patch({ base: a, deltas: [folder.at('ab')] }), { code: 'UNSAFE_TARGET' });
  const missing = patch({ base: folder.at('none'), deltas: [folder.at('ab')] });
  await t.throwsAsync(missing, { message: /No such file/ });
  t.false(existsSync(folder.at('none')));
});
