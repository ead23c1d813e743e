import test from 'ava';
import { ReadAhead } from '../../../lib/read/read-ahead.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Reads in order from an offset; the ranges that were to be read ahead. */
function readInOrder(ahead: ReadAhead, from: number, length: number, count: number) {
  const wanted = [];
  for (let i = 0; i < count; i++) {
    const next = ahead.advance({ offset: from + i * length, length });
    if (next !== undefined) wanted.push({ ...next, behind: from + (i + 1) * length });
  }
  return wanted;
}

test('who reads in order is read ahead, without gaps and nothing twice', (t) => {
  const wanted = readInOrder(new ReadAhead({ capacity: 32 * MIB }), 10 * MIB, 128 * KIB, 400);
  t.true(wanted.length > 5);
  for (const [i, { offset, length, behind }] of wanted.entries()) {
    t.true(length > 0 && offset >= behind, 'what was read already is not wanted');
    if (i > 0) t.is(offset, wanted[i - 1].offset + wanted[i - 1].length);
  }
  const last = wanted[wanted.length - 1];
  t.true(last.offset + last.length - last.behind <= 8 * MIB);
  t.true(last.offset + last.length - last.behind >= 7 * MIB);
});

test('a few small reads are no reason to read ahead', (t) => {
  t.deepEqual(readInOrder(new ReadAhead({ capacity: 32 * MIB }), 0, 4 * KIB, 30), []);
});

test('who jumps about is not read ahead', (t) => {
  const ahead = new ReadAhead({ capacity: 32 * MIB });
  for (let i = 0; i < 5000; i++) {
    const offset = ((i * 7919) % 4999) * 20 * MIB;
    t.is(ahead.advance({ offset, length: 256 * KIB }), undefined);
  }
});

test('parts of a read that come out of order count as in order', (t) => {
  const ahead = new ReadAhead({ capacity: 32 * MIB });
  let wanted = 0;
  for (let i = 0; i < 64; i += 2) {
    for (const part of [i + 1, i]) {
      if (ahead.advance({ offset: part * 128 * KIB, length: 128 * KIB }) !== undefined) wanted += 1;
    }
  }
  t.true(wanted > 2);
});

test('many readers share what may be read ahead', (t) => {
  const capacity = 16 * MIB;
  const ahead = new ReadAhead({ capacity });
  const reach = new Map<number, number>();
  for (let step = 0; step < 200; step++) {
    for (let reader = 0; reader < 8; reader++) {
      const offset = reader * 1000 * MIB + step * 128 * KIB;
      const next = ahead.advance({ offset, length: 128 * KIB });
      if (next === undefined) continue;
      reach.set(reader, Math.max(reach.get(reader) ?? 0, next.offset + next.length - offset));
    }
  }
  t.is(reach.size, 8);
  // The first of them had everything for itself for a moment.
  for (const bytes of [...reach.values()].slice(1)) t.true(bytes <= capacity / 2);
});
