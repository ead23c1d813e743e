import { setImmediate as nextTurn } from 'node:timers/promises';
import test from 'ava';
import { abortedError } from '../../../lib/errors.ts';
import { ByteBudget } from '../../../lib/work/byte-budget.ts';

test('who finds too little left waits, and is served in the order of asking', async (t) => {
  const budget = new ByteBudget(100);
  const served: string[] = [];
  await budget.take(80);
  const large = budget.take(90).then(() => served.push('large'));
  const small = budget.take(10).then(() => served.push('small'));
  await nextTurn();
  t.deepEqual(served, [], 'nobody overtakes');
  budget.back(80);
  await Promise.all([large, small]);
  t.deepEqual(served, ['large', 'small']);
});

test('a signal ends the waiting, and who came later is served', async (t) => {
  const budget = new ByteBudget(100);
  await budget.take(60);
  const controller = new AbortController();
  const stopped = budget.take(100, { signal: controller.signal });
  const later = budget.take(40);
  controller.abort(abortedError());
  await t.throwsAsync(stopped, { code: 'ABORTED' });
  await later;
  budget.back(100);
  await budget.take(100);
  await t.throwsAsync(budget.take(1, { signal: controller.signal }), { code: 'ABORTED' });
});
