import test from 'ava';
import { RecentValues } from '../../../lib/read/recent-values.ts';

test('what is asked for again and again is kept, whatever else comes and goes', (t) => {
  const recent = new RecentValues<string>(100);
  recent.keep(0, 'zero', 1);
  for (let key = 1; key < 10_000; key++) {
    recent.keep(key, `${key}`, 1);
    t.is(recent.get(0), 'zero');
  }
  t.is(recent.get(1), undefined);
  t.is(recent.get(9_999), '9999');
});

test('no more is kept than the bound allows', (t) => {
  const recent = new RecentValues<number>(100);
  for (let key = 0; key < 1000; key++) recent.keep(key, key, 10);
  let weight = 0;
  for (let key = 0; key < 1000; key++) if (recent.get(key) !== undefined) weight += 10;
  t.true(weight > 0 && weight <= 100, `${weight}`);
});

test('what is too heavy is not kept, and a new value replaces the old one', (t) => {
  const recent = new RecentValues<string>(100);
  recent.keep(1, 'heavy', 51);
  t.is(recent.get(1), undefined);
  recent.keep(2, 'old', 20);
  recent.keep(2, 'new', 30);
  t.is(recent.get(2), 'new');
});
