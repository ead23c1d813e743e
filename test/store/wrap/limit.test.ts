import test from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { createMemoryBackend } from '../../../store/backends/memory.ts';
import { StorageError } from '../../../store/errors.ts';
import { openLimitedBackend } from '../../../store/wrap/limit.ts';
import { backendSuite } from '../../conformance/backend.ts';

backendSuite('memory behind a limit', () =>
  openLimitedBackend(createMemoryBackend(), { concurrency: 3, now: () => 0 }),
);

/** A backend whose reads end when they are told to. */
class SlowBackend {
  readonly begun: string[] = [];
  readonly #ends: (() => void)[] = [];

  readonly backend: ObjectBackend = {
    ...createMemoryBackend(),
    get: (key) => {
      this.begun.push(key);
      return new Promise((resolve) => {
        this.#ends.push(() => resolve(new TextEncoder().encode(key)));
      });
    },
  };

  async endAll(): Promise<void> {
    for (let i = 0; i < this.#ends.length; i++) {
      this.#ends[i]();
      await new Promise(setImmediate);
    }
  }
}

test('no more are under way than may be, and they begin in their order', async (t) => {
  const slow = new SlowBackend();
  const backend = openLimitedBackend(slow.backend, { concurrency: 5, now: () => 0 });
  const keys = Array.from({ length: 40 }, (_, i) => `key-${i}`);
  const results = keys.map((key) => backend.get(key));
  await new Promise(setImmediate);
  t.deepEqual(slow.begun, keys.slice(0, 5));
  await slow.endAll();
  const texts = (await Promise.all(results)).map((bytes) => new TextDecoder().decode(bytes));
  t.deepEqual(texts, keys);
  t.deepEqual(slow.begun, keys);
});

test('who gives up while waiting leaves at once', async (t) => {
  const slow = new SlowBackend();
  const backend = openLimitedBackend(slow.backend, { concurrency: 1, now: () => 0 });
  const first = backend.get('a');
  const controller = new AbortController();
  const second = backend.get('b', { signal: controller.signal });
  const third = backend.get('c');
  const reason = new Error('stopped');
  controller.abort(reason);
  await t.throwsAsync(second, { is: reason });
  await slow.endAll();
  t.is((await first).length, 1);
  t.is((await third).length, 1);
  t.deepEqual(slow.begun, ['a', 'c']);
});

test('failures free their place and are passed on', async (t) => {
  const busy = new StorageError('UNAVAILABLE', { reason: 'busy', retry: 'later', isBusy: true });
  const failing: ObjectBackend = {
    ...createMemoryBackend(),
    get: () => Promise.reject(busy),
    has: () => {
      throw busy;
    },
  };
  const backend = openLimitedBackend(failing, { concurrency: 2, now: () => 0 });
  for (let i = 0; i < 10; i++) {
    await t.throwsAsync(backend.get('key'), { is: busy });
    await t.throwsAsync(async () => backend.has(['key']), { is: busy });
  }
  t.is(await backend.stat('key'), undefined);
});
