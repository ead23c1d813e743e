import test from 'ava';
import fc from 'fast-check';
import { chunkIdFromBytes } from '../../formats/chunk-id.ts';
import { type ChunkIndex, IndexBuilder } from '../../formats/chunk-index.ts';
import { FEATURE } from '../../formats/feature-flags.ts';

const HEADER = { featureFlags: 0n, chunkSizes: { min: 1, avg: 2, max: 3 } };

const idOf = (i: number) => chunkIdFromBytes(new Uint8Array(32).fill(i));

function build(sizes: readonly number[]): ChunkIndex {
  const builder = new IndexBuilder();
  sizes.forEach((size, i) => {
    builder.add(idOf(i), size);
  });
  return builder.finish(HEADER);
}

test('chunks lie one behind the other', (t) => {
  const index = build([5, 1, 7]);
  const spans = [0, 1, 2].map((i) => [index.start(i), index.end(i), index.size(i)]);
  t.deepEqual(spans, [
    [0, 5, 5],
    [5, 6, 1],
    [6, 13, 7],
  ]);
  t.is(index.totalSize, 13);
});

test('an index of nothing has no bytes', (t) => {
  const index = build([]);
  t.is(index.count, 0);
  t.is(index.totalSize, 0);
});

test('every byte is found in its chunk', (t) => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 });
  const law = fc.property(sizes, (all) => {
    const index = build(all);
    for (let offset = 0; offset < index.totalSize; offset++) {
      const i = index.chunkAt(offset);
      if (offset < index.start(i) || offset >= index.end(i)) return false;
    }
    return true;
  });
  t.notThrows(() => fc.assert(law));
});

test('ids keep their places when the builder grows', (t) => {
  const count = 5000;
  const index = build(new Array<number>(count).fill(2));
  t.is(index.count, count);
  for (const i of [0, 1023, 1024, 2047, 2048, 4999]) {
    t.is(index.id(i), idOf(i));
    t.deepEqual(index.idBytes(i), new Uint8Array(32).fill(i));
  }
});

test('the builder knows how far it has come', (t) => {
  const builder = new IndexBuilder();
  t.is(builder.totalSize, 0);
  builder.add(idOf(1), 2 ** 40);
  builder.add(idOf(2), 1);
  t.is(builder.totalSize, 2 ** 40 + 1);
});

test('the feature flags tell the digest', (t) => {
  const builder = () => new IndexBuilder();
  t.is(builder().finish(HEADER).digest, 'sha256');
  t.is(builder().finish({ ...HEADER, featureFlags: FEATURE.sha512_256 }).digest, 'sha512-256');
});
