import test from 'ava';
import fc from 'fast-check';
import { FormatError, LimitExceeded } from '../../../../formats/errors.ts';
import { decodeIndex } from '../../../../formats/index-codec.ts';
import { IndexArrival, type NamedChunk } from '../../../../lib/serve/protocol/index-arrival.ts';
import { golden } from '../../../helpers/golden.ts';

const INDEX = golden('blob-index/b300000-default.caibx');

function named(arrival: IndexArrival): readonly NamedChunk[] {
  const chunks: NamedChunk[] = [];
  for (let chunk = arrival.next(); chunk !== undefined; chunk = arrival.next()) chunks.push(chunk);
  return chunks;
}

function distinctChunks(bytes: Uint8Array): readonly NamedChunk[] {
  const index = decodeIndex(bytes);
  const chunks = new Map<string, NamedChunk>();
  for (let i = 0; i < index.count; i++) {
    const id = index.id(i);
    if (!chunks.has(id)) chunks.set(id, { id, size: index.size(i) });
  }
  return [...chunks.values()];
}

test('all chunks are named once, in whatever pieces the index comes', (t) => {
  const wanted = distinctChunks(INDEX);
  const property = fc.property(fc.array(fc.nat(INDEX.length)), (cuts) => {
    const arrival = new IndexArrival();
    const found: NamedChunk[] = [];
    const ends = [...cuts, INDEX.length].toSorted((a, b) => a - b);
    let start = 0;
    for (const end of ends) {
      arrival.add(INDEX.subarray(start, end));
      found.push(...named(arrival));
      start = end;
    }
    t.false(arrival.isUsedUp);
    t.deepEqual(arrival.finish().count, decodeIndex(INDEX).count);
    t.true(arrival.isUsedUp);
    t.deepEqual(found, wanted);
  });
  fc.assert(property, { verbose: true });
});

test('the digest is known as soon as the header is there', (t) => {
  const arrival = new IndexArrival();
  arrival.add(INDEX.subarray(0, 47));
  t.is(arrival.header, undefined);
  arrival.add(INDEX.subarray(47, 48));
  t.is(arrival.header?.featureFlags, decodeIndex(INDEX).featureFlags);
});

test('an index that is none is refused with its first bytes', (t) => {
  const arrival = new IndexArrival();
  t.throws(() => arrival.add(new Uint8Array(100)), { instanceOf: FormatError });
});

test('a chunk larger than the index allows is refused before it is asked for', (t) => {
  const bytes = INDEX.slice();
  new DataView(bytes.buffer).setBigUint64(64, 2n ** 50n, true);
  const arrival = new IndexArrival();
  arrival.add(bytes);
  t.throws(() => arrival.next(), { instanceOf: FormatError });
});

test('an index that ends early is no index', (t) => {
  for (const length of [0, 47, 64, 104, INDEX.length - 1]) {
    const arrival = new IndexArrival();
    arrival.add(INDEX.subarray(0, length));
    t.throws(() => arrival.finish(), { instanceOf: FormatError }, String(length));
  }
});

test('a longer index than is allowed is refused', (t) => {
  const arrival = new IndexArrival(INDEX.length - 1);
  t.throws(() => arrival.add(INDEX), { instanceOf: LimitExceeded });
});
