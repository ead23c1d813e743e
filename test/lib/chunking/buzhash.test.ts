import { createHash } from 'node:crypto';
import test from 'ava';
import { BUZHASH_TABLE } from '../../../lib/chunking/buzhash-table.ts';
import { discriminator } from '../../../lib/chunking/discriminator.ts';
import { createScanner } from '../../../lib/chunking/scanner-choice.ts';
import { scannerSuite } from '../../conformance/scanner.ts';
import { noise, vectors } from '../../helpers/golden.ts';

scannerSuite('reference scanner', (chunkSizes) =>
  createScanner({ chunker: 'buzhash', chunkSizes }),
);

test('sizes that the window of the hash does not allow are refused', (t) => {
  const chunkSizes = { min: 10, avg: 20, max: 40 };
  const scanner = createScanner({ chunker: 'buzhash', chunkSizes });
  t.is(scanner.firstChunk(noise(40)), 40);
  for (const length of [41, 47, 48, 1000]) {
    t.throws(() => scanner.firstChunk(noise(length)), { code: 'USAGE' }, `${length}`);
  }
});

test('the table is the one of the format', (t) => {
  const bytes = new DataView(new ArrayBuffer(1024));
  BUZHASH_TABLE.forEach((value, i) => {
    bytes.setInt32(4 * i, value, true);
  });
  const { tableSha256 } = vectors<{ tableSha256: string }>('buzhash');
  t.is(createHash('sha256').update(bytes).digest('hex'), tableSha256);
});

test('the discriminator is what casync computes', (t) => {
  type Case = { min: number; average: number; max: number; discriminator: number };
  for (const row of vectors<{ cases: readonly Case[] }>('discriminator').cases) {
    const sizes = { min: row.min, avg: row.average, max: row.max };
    t.is(discriminator(sizes), row.discriminator, JSON.stringify(row));
  }
});
