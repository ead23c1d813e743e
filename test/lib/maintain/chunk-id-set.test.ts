import test from 'ava';
import fc from 'fast-check';
import { ChunkIdSet } from '../../../lib/maintain/chunk-id-set.ts';

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });

test('a set of ids says what a set of texts says', (t) => {
  const clustered = fc.nat(40).map((n) => new Uint8Array(32).fill(n % 5).fill(n, 0, 3));
  fc.assert(
    fc.property(fc.array(fc.oneof(digest, clustered), { maxLength: 300 }), digest, (ids, other) => {
      const set = new ChunkIdSet();
      const texts = new Set<string>();
      const textOf = (id: Uint8Array) => Buffer.from(id).toString('hex');
      for (const id of ids) {
        if (set.add(id) !== !texts.has(textOf(id))) return false;
        texts.add(textOf(id));
      }
      return (
        set.count === texts.size &&
        ids.every((id) => set.has(id)) &&
        set.has(other) === texts.has(textOf(other))
      );
    }),
  );
  t.pass();
});

test('a set grows to many ids and finds all of them, also those of zeros', (t) => {
  const count = 200_000;
  const ids = new Uint32Array(count * 8);
  for (let i = 0; i < count; i++) ids[8 * i + (i % 4)] = i;
  const bytes = new Uint8Array(ids.buffer);
  const set = new ChunkIdSet();
  for (let i = 0; i < count; i++) t.true(set.add(bytes, 32 * i), `${i}`);
  t.is(set.count, count);
  for (let i = 0; i < count; i++) if (!set.has(bytes, 32 * i)) t.fail(`${i}`);
  t.false(set.add(bytes, 0));
});
