import test from 'ava';
import { type ChunkId, chunkIdFromBytes } from '../../../formats/chunk-id.ts';
import { IndexBuilder } from '../../../formats/chunk-index.ts';
import { DEFAULT_CHUNK_SIZES } from '../../../formats/chunk-sizes.ts';
import { RepeatedChunks } from '../../../lib/stores/repeated-chunks.ts';
import { noise } from '../../helpers/golden.ts';

function digestOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number);
}

function id(number: number): ChunkId {
  return chunkIdFromBytes(digestOf(number), 0);
}

function repeated(numbers: readonly number[]): RepeatedChunks {
  const builder = new IndexBuilder();
  for (const number of numbers) builder.addDigest(digestOf(number), 0, 1000);
  return new RepeatedChunks(builder.finish({ featureFlags: 0n, chunkSizes: DEFAULT_CHUNK_SIZES }));
}

test('only chunks that come again are kept, as copies', (t) => {
  const chunks = repeated([1, 2, 3, 2]);
  for (const number of [1, 2, 3]) {
    const bytes = noise(1000, number);
    chunks.keep(id(number), digestOf(number), bytes);
    bytes.fill(0);
  }
  t.is(chunks.find(id(1)), undefined);
  t.deepEqual(chunks.find(id(2)), noise(1000, 2));
  t.is(chunks.find(id(3)), undefined);
});

test('what was used longest ago gives way', (t) => {
  const numbers = Array.from({ length: 20 }, (_, i) => i + 1);
  const chunks = repeated([...numbers, ...numbers]);
  const large = new Uint8Array(1024 * 1024);
  for (const number of numbers.slice(0, 16)) chunks.keep(id(number), digestOf(number), large);
  t.truthy(chunks.find(id(1)));
  chunks.keep(id(17), digestOf(17), large);
  t.truthy(chunks.find(id(1)));
  t.is(chunks.find(id(2)), undefined);
  t.truthy(chunks.find(id(17)));
});
