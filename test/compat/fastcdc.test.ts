/** What `make --chunker=fastcdc` makes is an ordinary index: casync 2 reads it. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseChunkSizes } from '../../formats/chunk-sizes.ts';
import { decodeIndex } from '../../formats/index-codec.ts';
import { createScanner } from '../../lib/chunking/scanner-choice.ts';
import { noise, text } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';
import { endsBy } from '../lib/chunking/fastcdc-rule.ts';

/** Sizes, and the length of the blob for them. */
const SIZES: readonly (readonly [string, number])[] = [
  ['auto', 9_000_000],
  ['2500:10000:40000', 9_000_000],
  ['16:64:256', 50_000],
];

/** Random data, text, and zeros longer than a segment of the pipeline. */
function mixedBlob(): Buffer {
  return Buffer.concat([noise(3_000_000, 1), new Uint8Array(5_000_000), text(700_000), noise(99)]);
}

function chunkCount(store: string): number {
  return readdirSync(store, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.cacnk'),
  ).length;
}

/** A folder with a blob and a small tree, and the words that name its store. */
function prepare(t: ExecutionContext): { readonly folder: string; readonly store: string } {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'tree/inner'), { recursive: true });
  writeFileSync(join(folder, 'blob'), mixedBlob());
  writeFileSync(join(folder, 'tree/large'), noise(800_000, 2));
  writeFileSync(join(folder, 'tree/inner/small'), 'small\n');
  return { folder, store: `--store=${join(folder, 'store.castr')}` };
}

function endsOf(file: string): readonly number[] {
  const index = decodeIndex(new Uint8Array(readFileSync(file)));
  return Array.from({ length: index.count }, (_, i) => index.end(i));
}

for (const [size, length] of SIZES) {
  test(`a blob cut by FastCDC into ${size} is cut by the scanner, and casync 2 extracts it`, async (t) => {
    if (!requirement(t, { commands: ['casync'] })) return;
    const { folder, store } = prepare(t);
    const blob = mixedBlob().subarray(-length);
    writeFileSync(join(folder, 'blob'), blob);
    const index = join(folder, 'x.caibx');
    const options = ['--chunker=fastcdc', `--chunk-size=${size}`, store];
    await succeed(runCasync([...options, 'make', index, join(folder, 'blob')]));
    const scanner = createScanner({ chunker: 'fastcdc', chunkSizes: parseChunkSizes(size) });
    t.deepEqual(
      endsOf(index),
      endsBy((rest) => scanner.firstChunk(rest), blob),
    );
    await succeed(runReference([store, 'extract', index, join(folder, 'copy')]));
    t.true(blob.equals(readFileSync(join(folder, 'copy'))));
  });
}

test('the index does not depend on the number of threads', async (t) => {
  const { folder, store } = prepare(t);
  const blob = Buffer.concat([noise(9_000_000, 4), mixedBlob(), noise(6_000_000, 5)]);
  writeFileSync(join(folder, 'blob'), blob);
  const scanner = createScanner({ chunker: 'fastcdc', chunkSizes: parseChunkSizes('auto') });
  const expected = endsBy((rest) => scanner.firstChunk(rest), blob);
  for (const count of ['0', '1', '2', '7']) {
    const index = join(folder, `${count}.caibx`);
    const words = ['--chunker=fastcdc', store, 'make', index, join(folder, 'blob')];
    await succeed(runCasync(words, { env: { CASYNC_WORKERS: count } }));
    t.deepEqual(endsOf(index), expected, `${count} workers`);
  }
});

test('a tree cut by FastCDC is extracted by casync 2', async (t) => {
  if (!requirement(t, { root: true, commands: ['casync'] })) return;
  const { folder, store } = prepare(t);
  const index = join(folder, 'x.caidx');
  await succeed(runCasync(['--chunker=fastcdc', store, 'make', index, join(folder, 'tree')]));
  await succeed(runReference([store, 'extract', index, join(folder, 'copy')]));
  t.deepEqual(compareTrees(join(folder, 'tree'), join(folder, 'copy')), []);
});

test('the same again adds no chunk; casync 2, which cuts otherwise, shares the store', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const { folder, store } = prepare(t);
  const make = (name: string): readonly string[] => {
    return [store, '--digest=sha256', 'make', join(folder, name), join(folder, 'blob')];
  };
  await succeed(runCasync(['--chunker=fastcdc', ...make('1.caibx')]));
  const count = chunkCount(join(folder, 'store.castr'));
  await succeed(runCasync(['--chunker=fastcdc', ...make('2.caibx')]));
  t.is(chunkCount(join(folder, 'store.castr')), count);
  await succeed(runReference(make('3.caibx')));
  t.true(chunkCount(join(folder, 'store.castr')) > count);
  for (const name of ['1.caibx', '3.caibx']) {
    await succeed(runCasync([store, 'extract', join(folder, name), join(folder, 'copy')]));
    t.true(mixedBlob().equals(readFileSync(join(folder, 'copy'))));
  }
});

test('equal sizes cut as casync 2 cuts, whatever the chunker', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const { folder, store } = prepare(t);
  const words = (name: string): readonly string[] => {
    const options = ['--digest=sha256', '--chunk-size=5000:5000:5000', store];
    return [...options, 'make', join(folder, name), join(folder, 'blob')];
  };
  await succeed(runCasync(['--chunker=fastcdc', ...words('ours.caibx')]));
  await succeed(runReference(words('reference.caibx')));
  const reference = readFileSync(join(folder, 'reference.caibx'));
  t.true(reference.equals(readFileSync(join(folder, 'ours.caibx'))));
});
