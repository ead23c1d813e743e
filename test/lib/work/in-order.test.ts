import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { inOrder } from '../../../lib/work/in-order.ts';

class Result {
  isReleased = false;

  readonly number: number;

  constructor(number: number) {
    this.number = number;
  }

  release(): void {
    this.isReleased = true;
  }
}

async function* count(to: number): AsyncGenerator<number> {
  for (let i = 0; i < to; i++) yield i;
}

test('results come in order, whichever job ends first, and no more jobs run than may', async (t) => {
  let [running, mostAtOnce] = [0, 0];
  const start = async (number: number): Promise<Result> => {
    running += 1;
    mostAtOnce = Math.max(mostAtOnce, running);
    await sleep((number * 7) % 5);
    running -= 1;
    return new Result(number);
  };
  const numbers: number[] = [];
  for await (const result of inOrder(count(20), start, { most: 3 })) numbers.push(result.number);
  t.deepEqual(
    numbers,
    Array.from({ length: 20 }, (_, i) => i),
  );
  t.true(mostAtOnce > 1 && mostAtOnce <= 4, String(mostAtOnce));
});

test('what nobody takes is released, and the failure is told in its place', async (t) => {
  const made: Result[] = [];
  const start = async (number: number): Promise<Result> => {
    if (number === 2) throw new Error('the third fails');
    made[number] = new Result(number);
    return made[number];
  };
  const taken: number[] = [];
  const run = async (): Promise<void> => {
    for await (const result of inOrder(count(6), start, { most: 4 })) taken.push(result.number);
  };
  await t.throwsAsync(run, { message: 'the third fails' });
  t.deepEqual(taken, [0, 1]);
  const released = made.filter((result) => result.isReleased).map((result) => result.number);
  t.deepEqual(released, [3, 4, 5]);
});

test('who has enough leaves no job behind', async (t) => {
  const made: Result[] = [];
  const start = async (number: number): Promise<Result> => {
    await sleep(5);
    made.push(new Result(number));
    return made[number];
  };
  for await (const result of inOrder(count(9), start, { most: 3 })) {
    t.is(result.number, 0);
    break;
  }
  t.deepEqual(
    made.map((result) => result.isReleased),
    [false, true, true, true],
  );
});

test('an abort ends it', async (t) => {
  const abort = new AbortController();
  const run = async (): Promise<void> => {
    const results = inOrder(count(9), async (i) => new Result(i), {
      most: 1,
      signal: abort.signal,
    });
    for await (const _ of results) abort.abort();
  };
  await t.throwsAsync(run, { code: 'ABORTED' });
});
