/** Floors: what passes, what misses, what was not measured. */
import test from 'ava';
import { type Floor, judge, readFloors } from '../../bench/floors.ts';
import type { RowResult } from '../../bench/result.ts';
import { allScenarios } from '../../bench/rows.ts';
import { measurement, resultOf, row } from './sample-result.ts';

const FASTER: Floor = { row: 'image-make', than: 'casync', atLeastTimesFaster: 2 };

function stateOf(floor: Floor, ...rows: readonly RowResult[]): string | undefined {
  return judge(resultOf(...rows), [floor])[0]?.state;
}

test('a ratio is that of the medians, and the bound itself passes', (t) => {
  const ours = measurement('ours', [1, 2, 90]);
  t.is(stateOf(FASTER, row('image-make', ours, measurement('casync', [1, 4, 5]))), 'PASS');
  t.is(stateOf(FASTER, row('image-make', ours, measurement('casync', [9, 3.9, 1]))), 'MISS');
});

test('growth compares two rows of ours', (t) => {
  const floor: Floor = { row: 'size-4G-make', as: 'size-1G-make', atMostTimesAsLong: 4.4 };
  const small = row('size-1G-make', measurement('ours', [1]));
  t.is(stateOf(floor, small, row('size-4G-make', measurement('ours', [4.4]))), 'PASS');
  t.is(stateOf(floor, small, row('size-4G-make', measurement('ours', [4.5]))), 'MISS');
});

test('seconds are of the median', (t) => {
  const floor: Floor = { row: 'small-make', atMostSeconds: 0.13 };
  t.is(stateOf(floor, row('small-make', measurement('ours', [0.1, 0.12, 0.5]))), 'PASS');
  t.is(stateOf(floor, row('small-make', measurement('ours', [0.14, 0.14, 0.1]))), 'MISS');
});

test('memory is the largest sample of every row', (t) => {
  const verdicts = judge(
    resultOf(
      row('a', measurement('ours', [1], 300), measurement('casync', [1], 900)),
      row('b', measurement('ours', [1], 301)),
    ),
    [{ row: '*', atMostMebibytes: 300 }],
  );
  t.deepEqual(
    verdicts.map(({ row: id, state }) => [id, state]),
    [
      ['a', 'PASS'],
      ['b', 'MISS'],
    ],
  );
});

test('what was not measured neither passes nor misses', (t) => {
  t.is(stateOf(FASTER), 'NOT MEASURED');
  t.is(stateOf(FASTER, row('image-make', measurement('ours', [1]))), 'NOT MEASURED');
});

test('memory that was not seen is not measured', (t) => {
  const unseen = row('a', measurement('ours', [1], 0));
  t.is(stateOf({ row: '*', atMostMebibytes: 300 }, unseen), 'NOT MEASURED');
});

test('who has failed has no figures', (t) => {
  const failed = { ...measurement('casync', [9]), failure: 'index differs' };
  t.is(stateOf(FASTER, row('image-make', measurement('ours', [1]), failed)), 'NOT MEASURED');
});

test('every floor is of a row that exists', (t) => {
  const rows = allScenarios(2).flatMap(({ steps }) => steps.map(({ row: id }) => id));
  const floors = readFloors();
  t.true(floors.length > 10);
  for (const floor of floors) {
    t.true(floor.row === '*' || rows.includes(floor.row), floor.row);
    t.true(floor.as === undefined || rows.includes(floor.as), floor.as);
  }
  t.notThrows(() => judge(resultOf(), floors));
});
