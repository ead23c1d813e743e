/** Fifty random trees through our command and the reference; `npm run test:compat` does many more. */
import test from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, runReference } from '../helpers/run-casync.ts';
import { runCampaign } from './campaign.ts';
import { compareTreeCase } from './compare-trees.ts';

const SEED = 20_201_210;
const COUNT = 50;

test('our command and the reference do the same with random trees', async (t) => {
  if (!requirement(t, { root: true, commands: ['casync'] })) return;
  t.timeout(240_000);
  const { failures, bothFailedCount } = await runCampaign({
    seed: SEED,
    count: COUNT,
    compare: compareTreeCase,
    ours: runCasync,
    reference: runReference,
  });
  t.log(`seed ${SEED}: ${COUNT} trees, ${bothFailedCount} refused by both`);
  for (const { number, differences } of failures)
    t.log(`case ${number}: ${differences.join('\n')}`);
  t.deepEqual(
    failures.map(({ number }) => number),
    [],
  );
});
