/** Patching in place: nothing wrong is ever written, and what was cut off is completed. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import test from 'ava';
import { patch } from '../../../../lib/api/patch.node.ts';
import { BLOCK, changedImage, createRandom, DeltaFolder, imageOf } from './delta-images.ts';

const SEED = 20_201_210;

test('a base with one wrong block stays as it is', async (t) => {
  const folder = new DeltaFolder(t);
  const random = createRandom(SEED);
  const a = imageOf(random, 30 * BLOCK);
  folder.write('a', a);
  folder.write('b', changedImage(random, a));
  await folder.delta('ab', 'a', 'b');
  const b = folder.read('b');
  let refused = 0;
  for (let block = 0; block < 30; block++) {
    const wrong = Buffer.from(a);
    wrong[block * BLOCK + 5] ^= 1;
    const x = folder.write('x', wrong);
    const { mtimeMs } = statSync(x);
    const isChanged =
      a.compare(b, block * BLOCK, (block + 1) * BLOCK, block * BLOCK, (block + 1) * BLOCK) !== 0;
    const result = patch({ base: x, deltas: [folder.at('ab')] });
    if (!isChanged) {
      await t.notThrowsAsync(result);
      continue;
    }
    await t.throwsAsync(result, { code: 'UNSAFE_TARGET', message: /nothing was written/ });
    refused += 1;
    t.true(folder.read('x').equals(wrong));
    t.is(statSync(x).mtimeMs, mtimeMs);
  }
  t.true(refused > 0);
});

test('a delta that was changed in any byte or was cut off writes nothing', async (t) => {
  for (const chunking of ['fixed', 'cdc'] as const) {
    const folder = new DeltaFolder(t);
    const a = imageOf(createRandom(SEED), 3 * BLOCK + 7);
    const b = Buffer.concat([
      a.subarray(0, BLOCK),
      Buffer.alloc(BLOCK, 'x'),
      a.subarray(2 * BLOCK),
    ]);
    const base = folder.write('a', a);
    folder.write('b', b);
    await folder.delta('ab', 'a', 'b', { chunking });
    const whole = folder.read('ab');
    const wrongs: Buffer[] = [];
    for (let i = 0; i < whole.length; i++) {
      const wrong = Buffer.from(whole);
      wrong[i] ^= 1 << (i & 7);
      wrongs.push(wrong);
      if (i % 4 === 0) wrongs.push(whole.subarray(0, i));
    }
    for (const [i, wrong] of wrongs.entries()) {
      const deltas = [folder.write('wrong', wrong)];
      const code = await patch({ base, deltas }).then(
        () => 'applied',
        (error: { readonly code?: string }) => error.code,
      );
      if (code !== 'FORMAT') t.fail(`${chunking} ${i}: ${code}`);
    }
    t.true(folder.read('a').equals(a));
    t.deepEqual(readdirSync(folder.path).sort(), ['a', 'ab', 'b', 'wrong']);
  }
});

test('a patch that was cut off is completed, also where blocks are torn', async (t) => {
  const random = createRandom(SEED);
  const folder = new DeltaFolder(t);
  const a = imageOf(random, 700 * BLOCK + 100);
  const b = changedImage(random, a, 900 * BLOCK + 3);
  folder.write('a', a);
  folder.write('b', b);
  await folder.delta('ab', 'a', 'b', { blockSize: 2 * BLOCK });
  const deltas = [folder.at('ab')];
  for (let round = 0; round < 8; round++) {
    const base = folder.write('x', a);
    const controller = new AbortController();
    const stop = random(800 * BLOCK);
    const cut = patch({
      base,
      deltas,
      undo: folder.at('undo'),
      signal: controller.signal,
      onProgress: ({ doneBytes }) => doneBytes > stop && controller.abort(),
    });
    await t.throwsAsync(cut, { code: 'ABORTED' });
    t.true(existsSync(folder.at('x.patching')));
    const torn = folder.read('x');
    for (let at = 0; at < b.length; at += 2 * BLOCK) {
      const [old, now] = [a, b].map((image) => image.subarray(at, at + 2 * BLOCK));
      if (!old.equals(now) && random(3) === 0 && at + 2 * BLOCK < torn.length)
        torn.fill(round, at, at + 100);
    }
    writeFileSync(base, torn);
    const result = await patch({ base, deltas, undo: folder.at('undo') });
    t.true(result.wasResumed);
    t.true(folder.read('x').equals(b));
    t.false(existsSync(folder.at('x.patching')));
    await patch({ base, deltas: [folder.at('undo')] });
    t.true(folder.read('x').equals(a));
  }
});

test('nothing else is applied where a patch was cut off', async (t) => {
  const random = createRandom(SEED);
  const folder = new DeltaFolder(t);
  const a = imageOf(random, 600 * BLOCK);
  const base = folder.write('a', a);
  folder.write('b', changedImage(random, a));
  folder.write('c', changedImage(random, a));
  await folder.delta('ab', 'a', 'b');
  await folder.delta('ac', 'a', 'c');
  const controller = new AbortController();
  const cut = patch({
    base,
    deltas: [folder.at('ab')],
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await t.throwsAsync(cut, { code: 'ABORTED' });
  const other = patch({ base, deltas: [folder.at('ac')] });
  await t.throwsAsync(other, { code: 'UNSAFE_TARGET', message: /another patch was cut off/ });
  const undo = patch({ base, deltas: [folder.at('ab')], undo: folder.at('undo') });
  await t.throwsAsync(undo, { code: 'UNSAFE_TARGET', message: /has not made it/ });
  await patch({ base, deltas: [folder.at('ab')] });
  t.true(folder.read('a').equals(folder.read('b')));
  // Another file under the same name has nothing to do with it.
  await patch({ base: folder.write('fresh', a), deltas: [folder.at('ac')] });
  t.true(folder.read('fresh').equals(folder.read('c')));
});

test('no undo is made of what is there already in part', async (t) => {
  const random = createRandom(SEED);
  const folder = new DeltaFolder(t);
  const a = imageOf(random, 60 * BLOCK);
  const b = changedImage(random, a);
  folder.write('a', a);
  folder.write('b', b);
  await folder.delta('ab', 'a', 'b');
  const half = Buffer.concat([b.subarray(0, 30 * BLOCK), a.subarray(30 * BLOCK)]);
  const base = folder.write('x', half);
  const wanted = patch({ base, deltas: [folder.at('ab')], undo: folder.at('undo') });
  await t.throwsAsync(wanted, { code: 'UNSAFE_TARGET' });
  t.false(existsSync(folder.at('undo')));
  t.true(folder.read('x').equals(half));
  await patch({ base, deltas: [folder.at('ab')] });
  t.true(folder.read('x').equals(b));
});
