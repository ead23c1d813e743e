import test from 'ava';
import fc from 'fast-check';
import { concatBytes } from '../../../formats/bytes.ts';
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';
import { createScanner } from '../../../lib/chunking/scanner-choice.ts';
import { Splitter } from '../../../lib/chunking/split.ts';
import { naiveEnds } from '../../conformance/scanner.ts';
import { noise } from '../../helpers/golden.ts';

const SIZES = { min: 48, avg: 64, max: 256 };

function split(pieces: readonly Uint8Array[], sizes: ChunkSizes): readonly Uint8Array[] {
  const splitter = new Splitter(createScanner({ chunker: 'buzhash', chunkSizes: sizes }), sizes);
  const chunks: Uint8Array[] = [];
  for (const piece of pieces) for (const chunk of splitter.push(piece)) chunks.push(chunk.slice());
  for (const chunk of splitter.end()) chunks.push(chunk.slice());
  return chunks;
}

function endsOf(chunks: readonly Uint8Array[]): readonly number[] {
  let end = 0;
  return chunks.map((chunk) => {
    end += chunk.length;
    return end;
  });
}

test('the chunks are the stream, cut where the scanner cuts, however it was pushed', (t) => {
  const property = fc.property(
    fc.integer(),
    fc.array(fc.nat(700), { minLength: 1, maxLength: 20 }),
    (seed, lengths) => {
      const pieces = lengths.map((length, i) => noise(length, seed + i));
      const whole = concatBytes(pieces);
      const chunks = split(pieces, SIZES);
      t.deepEqual(concatBytes(chunks), whole);
      t.deepEqual(endsOf(chunks), naiveEnds(whole, SIZES));
    },
  );
  t.notThrows(() => fc.assert(property));
});

test('an empty stream has no chunks', (t) => {
  t.deepEqual(split([], SIZES), []);
  t.deepEqual(split([new Uint8Array(0)], SIZES), []);
});

test('sizes that the window of the hash does not allow are refused', (t) => {
  const sizes = { min: 10, avg: 20, max: 40 };
  t.throws(() => split([noise(1000)], sizes), { code: 'USAGE' });
  t.throws(() => split([noise(47)], sizes), { code: 'USAGE' });
  t.notThrows(() => split([noise(40)], sizes));
});

test('pushing byte by byte takes time in proportion to the bytes', (t) => {
  const sizes = { min: 4_000_000, avg: 4_000_000, max: 4_000_000 };
  const splitter = new Splitter(createScanner({ chunker: 'buzhash', chunkSizes: sizes }), sizes);
  const byte = Uint8Array.of(1);
  let chunks = 0;
  for (let i = 0; i < sizes.avg; i++)
    for (const chunk of splitter.push(byte)) chunks += chunk.length;
  t.is(chunks, sizes.avg);
});
