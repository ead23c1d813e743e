/** Stores are leased as long as makers use them, and some time longer; flushes are shared. */
import test from 'ava';
import { CasError } from '../../../../formats/errors.ts';
import { Makers } from '../../../../lib/serve/http/makers.ts';
import { MemoryBudget } from '../../../../lib/serve/http/memory-budget.ts';
import { JointFlush } from '../../../../lib/serve/joint-flush.ts';
import { createMemoryBackend } from '../../../../store/backends/memory.ts';

const IDLE_MS = 1000;

function simulated() {
  let now = 0;
  let tick = (): void => {};
  const events: string[] = [];
  const makers = new Makers({
    async open(store) {
      events.push(`open ${store}`);
      if (store === 'bad') throw new CasError('IO', { reason: 'bad' });
      return {
        backend: createMemoryBackend(),
        confirm: async () => {},
        close: async () => void events.push(`close ${store}`),
      };
    },
    idleMs: IDLE_MS,
    now: () => now,
    every: (_ms, action) => {
      tick = action;
      return () => void events.push('stop');
    },
  });
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    tick();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { makers, events, pass };
}

const nothing = async (): Promise<void> => {};

test('a store is opened once, and given up when nobody has used it for a while', async (t) => {
  const { makers, events, pass } = simulated();
  await Promise.all([makers.use('a', nothing), makers.use('a', nothing)]);
  await pass(IDLE_MS - 1);
  await makers.use('a', nothing);
  await pass(IDLE_MS - 1);
  t.deepEqual(events, ['open a']);
  t.deepEqual(makers.stores, ['a']);
  await pass(1);
  t.deepEqual(events, ['open a', 'close a']);
  t.deepEqual(makers.stores, []);
  await makers.use('a', nothing);
  t.deepEqual(events, ['open a', 'close a', 'open a']);
});

test('a store is not given up while it is used', async (t) => {
  const { makers, events, pass } = simulated();
  let end = (): void => {};
  const using = makers.use('a', () => new Promise<void>((resolve) => (end = resolve)));
  await pass(10 * IDLE_MS);
  t.deepEqual(events, ['open a']);
  const closed = makers.close();
  t.deepEqual(events, ['open a', 'stop']);
  end();
  await using;
  await closed;
  await pass(0);
  t.deepEqual(events, ['open a', 'stop', 'close a']);
});

test('after a failure the store is opened anew, and others go on with the old one', async (t) => {
  const { makers, events, pass } = simulated();
  let end = (): void => {};
  const using = makers.use('a', () => new Promise<void>((resolve) => (end = resolve)));
  await t.throwsAsync(
    makers.use('a', async () => {
      throw new CasError('IO', { reason: 'broken' });
    }),
  );
  await makers.use('a', nothing);
  t.deepEqual(events, ['open a', 'open a']);
  end();
  await using;
  await pass(0);
  t.deepEqual(events, ['open a', 'open a', 'close a']);
});

test('a store that cannot be opened is tried again', async (t) => {
  const { makers, events } = simulated();
  for (let i = 0; i < 2; i++) await t.throwsAsync(makers.use('bad', nothing), { code: 'IO' });
  t.deepEqual(events, ['open bad', 'open bad']);
  t.deepEqual(makers.stores, []);
});

test('so many stores and no more', async (t) => {
  const { makers } = simulated();
  for (let i = 0; i < 64; i++) await makers.use(`store-${i}`, nothing);
  await t.throwsAsync(makers.use('another', nothing), { code: 'BUSY' });
  await makers.use('store-3', nothing);
});

test('a flush that begins after the call is waited for, and is one for all', async (t) => {
  const ends: (() => void)[] = [];
  const flush = new JointFlush(() => new Promise((resolve) => ends.push(resolve)));
  const done: string[] = [];
  const first = flush.run().then(() => done.push('first'));
  const others = ['second', 'third'].map((name) => flush.run().then(() => done.push(name)));
  t.is(ends.length, 1);
  ends[0]();
  await first;
  t.deepEqual(done, ['first']);
  await new Promise((resolve) => setImmediate(resolve));
  t.is(ends.length, 2);
  ends[1]();
  await Promise.all(others);
  t.is(ends.length, 2);
});

test('a flush that fails is not the failure of the next one', async (t) => {
  let count = 0;
  const flush = new JointFlush(async () => {
    if (count++ === 0) throw new Error('broken');
  });
  const first = flush.run();
  const second = flush.run();
  await t.throwsAsync(first);
  await second;
  t.pass();
});

test('memory that was given back once is not given back twice', (t) => {
  const budget = new MemoryBudget(10);
  const release = budget.take(6);
  t.is(budget.take(5), undefined);
  release?.();
  release?.();
  t.is(budget.take(11), undefined);
  t.truthy(budget.take(10));
});
