import test from 'ava';
import {
  DEFAULT_CHUNK_SIZES,
  isFixedSize,
  parseChunkSizes,
  validChunkSizes,
} from '../../formats/chunk-sizes.ts';
import { CasError } from '../../formats/errors.ts';
import { vectors } from '../helpers/golden.ts';

type Case =
  | { readonly text: string; readonly message: string }
  | { readonly text: string; readonly min: number; readonly average: number; readonly max: number };

const { cases } = vectors<{ readonly cases: readonly Case[] }>('chunk-sizes');

test('option values give the sizes of the original', (t) => {
  for (const row of cases) {
    if ('message' in row) continue;
    const { text, min, average: avg, max } = row;
    t.deepEqual(parseChunkSizes(text), { min, avg, max }, text);
  }
});

test('option values are refused in the words of the original', (t) => {
  for (const row of cases) {
    if (!('message' in row)) continue;
    const error = t.throws(() => parseChunkSizes(row.text), {
      instanceOf: CasError,
      code: 'USAGE',
    });
    t.is(error?.message, row.message, row.text);
  }
});

test('the checks of a triplet come field by field', (t) => {
  const reasonOf = (text: string) => t.throws(() => parseChunkSizes(text))?.message;
  t.is(reasonOf('0:x:3'), 'Minimum chunk size must be >= 1.');
  t.is(reasonOf('5:4:x'), 'Average chunk size must be larger than minimum chunk size.');
  t.is(reasonOf('5:x:3'), "Can't parse average chunk size: 5:x:3");
  t.is(reasonOf('1:2:3:4'), "Can't parse maximum chunk size: 1:2:3:4");
});

test('three equal sizes mean cuts at fixed places', (t) => {
  t.true(isFixedSize({ min: 7, avg: 7, max: 7 }));
  t.false(isFixedSize({ min: 6, avg: 7, max: 7 }));
  t.false(isFixedSize(DEFAULT_CHUNK_SIZES));
});

test('sizes are valid from 1 to 128 MiB in ascending order', (t) => {
  const limit = 128 * 1024 * 1024;
  t.true(validChunkSizes({ min: 1, avg: 1, max: 1 }));
  t.true(validChunkSizes({ min: 1, avg: 2, max: limit }));
  t.false(validChunkSizes({ min: 1, avg: 2, max: limit + 1 }));
  t.false(validChunkSizes({ min: 0, avg: 2, max: 3 }));
  t.false(validChunkSizes({ min: 3, avg: 2, max: 3 }));
  t.false(validChunkSizes({ min: 1, avg: 4, max: 3 }));
  t.false(validChunkSizes({ min: 1.5, avg: 4, max: 8 }));
  t.false(validChunkSizes({ min: 1, avg: 4, max: Number.NaN }));
  t.false(validChunkSizes({ min: 1, avg: 2, max: 9 }, 8));
});
