import test from 'ava';
import { awaited, type Steps, settle } from '../../../lib/work/soon.ts';

function* sum(answers: readonly (number | Promise<number>)[]): Steps<number> {
  let total = 0;
  for (const answer of answers) total += yield* awaited(answer);
  return total;
}

test('work that never has to wait is done at once', (t) => {
  t.is(settle(sum([1, 2, 3])), 6);
});

test('work that has to wait goes on where it stopped', async (t) => {
  const result = settle(sum([1, Promise.resolve(2), 3, Promise.resolve(4)]));
  t.true(result instanceof Promise);
  t.is(await result, 10);
});

test('failures are thrown where the work waits, and can be caught there', async (t) => {
  function* caught(answer: number | Promise<number>): Steps<string> {
    try {
      return `${yield* awaited(answer)}`;
    } catch (error) {
      return `caught ${error instanceof Error ? error.message : ''}`;
    }
  }
  t.is(await settle(caught(Promise.reject(new Error('late')))), 'caught late');
  await t.throwsAsync(async () => settle(sum([Promise.reject(new Error('late'))])), {
    message: 'late',
  });
  const early = (function* (): Steps<number> {
    yield* awaited(1);
    throw new Error('early');
  })();
  t.throws(() => settle(early), { message: 'early' });
});
