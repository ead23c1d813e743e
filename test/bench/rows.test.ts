/** Which rows there are, which steps they need, and the options that choose them. */
import test from 'ava';
import { parseOptions } from '../../bench/options.ts';
import { PEERS } from '../../bench/peers.ts';
import { allScenarios, selectScenarios } from '../../bench/rows.ts';

const SCENARIOS = allScenarios(2);

function steps(names: readonly string[]): readonly string[] {
  return selectScenarios(SCENARIOS, names).scenarios.flatMap((scenario) =>
    scenario.steps.map(({ row }) => row),
  );
}

test('every row has a name of its own', (t) => {
  const rows = SCENARIOS.flatMap((scenario) => scenario.steps.map(({ row }) => row));
  t.is(new Set(rows).size, rows.length);
  for (const row of ['image-make', 'tiny-extract', 'holes-make', 'changed-make', 'size-4G-make']) {
    t.true(rows.includes(row), row);
  }
});

test('what is read is served by all who are asked', (t) => {
  const asked = SCENARIOS.flatMap(({ steps, only }) =>
    steps.some(({ action }) => action === 'read') ? (only ?? ['']) : [],
  );
  t.true(asked.includes('ours') && asked.includes('casync'));
  for (const name of asked) {
    t.truthy(PEERS.find((peer) => peer.name === name)?.serve, name);
  }
  for (const { row, action, reading } of SCENARIOS.flatMap(({ steps }) => steps)) {
    t.is(action === 'read', reading !== undefined, row);
  }
});

test('cores are varied in powers of two up to all of them', (t) => {
  const counts = (cores: number): readonly (number | undefined)[] =>
    allScenarios(cores).flatMap((scenario) => scenario.cores ?? []);
  t.deepEqual(counts(1), [1]);
  t.deepEqual(counts(2), [1, 2]);
  t.deepEqual(counts(6), [1, 2, 4, 6]);
});

test('without names every row is wanted', (t) => {
  const { scenarios, rows } = selectScenarios(SCENARIOS, undefined);
  t.deepEqual(scenarios, SCENARIOS);
  t.is(rows.size, SCENARIOS.flatMap((scenario) => scenario.steps).length);
});

test('a name means the rows that begin with it', (t) => {
  t.deepEqual(
    [...selectScenarios(SCENARIOS, ['tree', 'holes-make']).rows],
    ['tree-make', 'tree-again', 'tree-extract', 'holes-make'],
  );
});

test('a row brings the make that it needs, which is not measured', (t) => {
  const { rows } = selectScenarios(SCENARIOS, ['image-extract']);
  t.deepEqual([...rows], ['image-extract']);
  t.deepEqual(steps(['image-extract']), ['image-make', 'image-extract']);
  t.deepEqual(steps(['changed']), ['image-make', 'changed-make']);
});

test('an unknown row is an error that names the others', (t) => {
  t.throws(() => selectScenarios(SCENARIOS, ['imag']), { message: /no row "imag"; .*image-make/ });
});

test('a full run has five rounds after one for warming up', (t) => {
  t.like(parseOptions([]), { rounds: 5, warmUps: 1, scale: 1, keepData: false, peers: undefined });
});

test('a quick run can still be changed', (t) => {
  t.like(parseOptions(['--quick']), { rounds: 1, warmUps: 0, scale: 0.01 });
  t.like(parseOptions(['--quick', '--rounds=3']), { rounds: 3, scale: 0.01 });
});

test('lists and paths of peers are read', (t) => {
  const options = parseOptions(['--peers=casync,desync', '--peer', 'desync=/x/y', '--rows=a,b']);
  t.deepEqual(options.peers, ['casync', 'desync']);
  t.deepEqual(options.paths, { desync: '/x/y' });
  t.deepEqual(options.rows, ['a', 'b']);
  t.deepEqual(parseOptions(['--peers=']).peers, []);
});

test('options that make no sense are refused', (t) => {
  for (const word of [
    '--rounds=0',
    '--rounds=1.5',
    '--scale=x',
    '--warmup=',
    '--peer=x',
    '--nope',
  ]) {
    t.throws(() => parseOptions([word]), undefined, word);
  }
  t.throws(() => parseOptions(['--check', '--quick']), { message: /full size/ });
});
