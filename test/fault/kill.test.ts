/** A few of the kill points of `npm run test:fault`, and the tools behind it. */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { pointsOfLog, spread } from './kill-points.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { sweep } from './sweep.ts';

const FEW_POINTS = 4;

test('points are the changing calls below the folder, counted by thread and name', (t) => {
  const log = [
    '10 openat(AT_FDCWD, "/usr/lib/x", O_RDONLY) = 3',
    '10 openat(AT_FDCWD, "/work/a", O_RDONLY|O_CLOEXEC) = 4</work/a>',
    '10 openat(AT_FDCWD, "/work/b", O_WRONLY|O_CREAT, 0666) = 5</work/b>',
    '11 openat(AT_FDCWD, "/work/c", O_RDWR|O_CREAT, 0666) = 6</work/c>',
    '10 write(5</work/b>, "x", 1) = 1',
    '10 write(1</dev/null>, "x", 1) = 1',
    '10 +++ exited with 0 +++',
  ].join('\n');
  t.deepEqual(pointsOfLog(log, '/work'), [
    { kind: 'call', name: 'openat', count: 3 },
    { kind: 'call', name: 'openat', count: 1 },
    { kind: 'call', name: 'write', count: 1 },
  ]);
});

test('points are spread over the whole run', (t) => {
  const points = Array.from({ length: 11 }, (_, i) => i);
  t.deepEqual(spread(points, 3), [0, 5, 10]);
  t.deepEqual(spread([1, 2], 3), [1, 2]);
});

async function prepared(t: ExecutionContext, name: string): Promise<[Scenario, string]> {
  const found = SCENARIOS.find(({ scenario }) => scenario.name === name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'expected'));
  await found.scenario.prepare(folder);
  return [found.scenario, folder];
}

test('the checks see an output that is neither old nor new', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const [scenario, folder] = await prepared(t, 'extract over another file');
  t.deepEqual(await scenario.afterKill(folder), []);
  writeFileSync(join(folder, 'output'), 'x', { flag: 'a' });
  const complaint = 'output: something else, then something else';
  t.deepEqual(await scenario.afterKill(folder), [complaint]);
});

test('the checks see a damaged chunk', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const [scenario, folder] = await prepared(t, 'make over an old blob index');
  t.deepEqual(await scenario.afterKill(folder), []);
  const [shard] = readdirSync(join(folder, 'store.castr'));
  const [chunk] = readdirSync(join(folder, 'store.castr', shard));
  const path = join(folder, 'store.castr', shard, chunk);
  chmodSync(path, 0o644);
  writeFileSync(path, '');
  t.deepEqual(await scenario.afterKill(folder), [`chunk ${chunk} is damaged`]);
});

for (const { scenario } of SCENARIOS) {
  test.serial(`${scenario.name}: a killed run leaves old, new or nothing`, async (t) => {
    if (!requirement(t, { root: true, commands: ['casync'] })) return;
    const { complaints, availableCount, killedCount } = await sweep(scenario, FEW_POINTS);
    t.log(`killed at ${killedCount} of ${availableCount} points`);
    t.deepEqual(complaints, []);
    t.true(killedCount > 0);
  });
}
