/** Medians, quartiles and the order of rounds. */
import test from 'ava';
import fc from 'fast-check';
import { orderOfRound, summarise } from '../../bench/statistics.ts';

test('an odd number of samples has its middle as the median', (t) => {
  t.like(summarise([5, 1, 3]), { count: 3, median: 3, min: 1, max: 5 });
});

test('an even number of samples has the mean of both middles as the median', (t) => {
  t.like(summarise([4, 1, 2, 10]), { median: 3, min: 1, max: 10 });
});

test('quartiles lie between samples', (t) => {
  t.like(summarise([1, 2, 3, 4, 5]), { lowerQuartile: 2, upperQuartile: 4 });
  t.like(summarise([10, 20]), { lowerQuartile: 12.5, upperQuartile: 17.5 });
});

test('one sample is everything', (t) => {
  t.deepEqual(summarise([7]), {
    count: 1,
    median: 7,
    min: 7,
    max: 7,
    lowerQuartile: 7,
    upperQuartile: 7,
  });
});

test('no samples have no summary', (t) => t.is(summarise([]), undefined));

test('the samples are left as they are', (t) => {
  const samples = [3, 1, 2];
  summarise(samples);
  t.deepEqual(samples, [3, 1, 2]);
});

test('every round has everybody once', (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(), { maxLength: 9 }), fc.nat(50), (items, round) => {
      t.deepEqual([...orderOfRound(items, round)].sort(), [...items].sort());
    }),
  );
});

test('in as many rounds as there are contestants everybody has every place once', (t) => {
  for (let count = 1; count <= 8; count++) {
    const items = Array.from({ length: count }, (_, i) => i);
    const orders = items.map((round) => orderOfRound(items, round));
    for (const place of items) t.is(new Set(orders.map((order) => order[place])).size, count);
  }
});

test('an even number of contestants follow each other in all ways', (t) => {
  const items = ['a', 'b', 'c', 'd', 'e', 'f'];
  const pairs = items.flatMap((_, round) => {
    const order = orderOfRound(items, round);
    return order.slice(1).map((item, i) => `${order[i]}${item}`);
  });
  t.is(new Set(pairs).size, items.length * (items.length - 1));
});

test('two contestants take turns at being first', (t) => {
  const first = [0, 1, 2, 3].map((round) => orderOfRound(['a', 'b'], round)[0]);
  t.deepEqual(first, ['a', 'b', 'a', 'b']);
});

test('this project begins the first round', (t) => {
  t.is(orderOfRound(['ours', 'casync', 'desync'], 0)[0], 'ours');
});
