import test from 'ava';
import { createMemoryBackend } from '../../../store/backends/memory.ts';
import { StorageError } from '../../../store/errors.ts';
import { openLimitedBackend, RequestLimit } from '../../../store/wrap/limit.ts';
import { backendSuite } from '../../conformance/backend.ts';

backendSuite('memory behind a limit', () =>
  openLimitedBackend(createMemoryBackend(), { concurrency: 3, now: () => 0 }),
);

/** Requests that end when they are told to. */
class Requests {
  readonly begun: number[] = [];
  readonly #ends: (() => void)[] = [];

  request(number: number): () => Promise<number> {
    return () => {
      this.begun.push(number);
      return new Promise((resolve) => {
        this.#ends.push(() => resolve(number));
      });
    };
  }

  async endAll(): Promise<void> {
    for (let i = 0; i < this.#ends.length; i++) {
      this.#ends[i]();
      await new Promise(setImmediate);
    }
  }
}

test('no more are under way than may be, and they begin in their order', async (t) => {
  const limit = new RequestLimit({ concurrency: 5, now: () => 0 });
  const requests = new Requests();
  const numbers = Array.from({ length: 40 }, (_, i) => i);
  const results = numbers.map((number) => limit.run(requests.request(number), undefined));
  await new Promise(setImmediate);
  t.is(limit.underWay, 5);
  t.deepEqual(requests.begun, [0, 1, 2, 3, 4]);
  await requests.endAll();
  t.deepEqual(await Promise.all(results), numbers);
  t.deepEqual(requests.begun, numbers);
  t.is(limit.underWay, 0);
});

test('who gives up while waiting leaves at once', async (t) => {
  const limit = new RequestLimit({ concurrency: 1, now: () => 0 });
  const requests = new Requests();
  const first = limit.run(requests.request(0), undefined);
  const controller = new AbortController();
  const second = limit.run(requests.request(1), controller.signal);
  const third = limit.run(requests.request(2), undefined);
  const reason = new Error('stopped');
  controller.abort(reason);
  await t.throwsAsync(second, { is: reason });
  await requests.endAll();
  t.is(await first, 0);
  t.is(await third, 2);
  t.deepEqual(requests.begun, [0, 2]);
});

test('failures free their place and are passed on', async (t) => {
  const limit = new RequestLimit({ concurrency: 2, now: () => 0 });
  const busy = new StorageError('UNAVAILABLE', { reason: 'busy', retry: 'later', isBusy: true });
  for (let i = 0; i < 10; i++) {
    await t.throwsAsync(
      limit.run(() => Promise.reject(busy), undefined),
      { is: busy },
    );
    await t.throwsAsync(
      limit.run(() => {
        throw busy;
      }, undefined),
      { is: busy },
    );
  }
  t.is(limit.underWay, 0);
  t.is(await limit.run(() => 7, undefined), 7);
});
