/** Trying again: what, how often, after which pauses (spec/remote.md, "Wrappers"). */
import test from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { createMemoryBackend } from '../../../store/backends/memory.ts';
import { ObjectMissing, StorageError } from '../../../store/errors.ts';
import { openRetryingBackend, type RetryEvent } from '../../../store/wrap/retry.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { noise, text } from '../../helpers/golden.ts';
import { createSimulatedClock } from '../../helpers/simulated-clock.ts';

const clock = createSimulatedClock();

backendSuite('memory with retries', () =>
  openRetryingBackend(createMemoryBackend(), { clock, random: () => 0.5 }),
);

function busy(retryAfterMs?: number): StorageError {
  return new StorageError('UNAVAILABLE', {
    subject: 'place: key',
    step: 'read',
    reason: '503',
    retry: 'later',
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Fails as often as told before it does anything. */
function faulty(failures: number, error: () => Error = busy): ObjectBackend & { calls: number } {
  const backend = createMemoryBackend({ label: 'place' });
  const attempt = <T>(action: () => T): T => {
    result.calls++;
    if (result.calls <= failures) throw error();
    return action();
  };
  const result: ObjectBackend & { calls: number } = {
    ...backend,
    calls: 0,
    get: async (...args) => attempt(() => backend.get(...args)),
    has: (...args) => attempt(() => backend.has(...args)),
    stat: async (...args) => attempt(() => backend.stat(...args)),
    put: async (...args) => attempt(() => backend.put(...args)),
    remove: async (...args) => attempt(() => backend.remove(...args)),
    flush: async (...args) => attempt(() => backend.flush(...args)),
  };
  return result;
}

for (const [name, act] of Object.entries<(backend: ObjectBackend) => unknown>({
  get: (backend) => backend.get('key'),
  has: (backend) => backend.has(['key']),
  stat: (backend) => backend.stat('key'),
  put: (backend) => backend.put('key', text(1)),
  remove: (backend) => backend.remove('key'),
})) {
  test(`${name} is tried again until it succeeds`, async (t) => {
    const failing = faulty(3);
    const backend = openRetryingBackend(failing, { clock, random: Math.random });
    if (name === 'get') await t.throwsAsync(async () => act(backend), { code: 'OBJECT_MISSING' });
    else await t.notThrowsAsync(async () => act(backend));
    t.is(failing.calls, 4);
  });
}

test('pauses double at most and are random in full', async (t) => {
  const clock = createSimulatedClock();
  let share = 0;
  const backend = openRetryingBackend(faulty(100), {
    clock,
    attemptCount: 12,
    random: () => {
      share = share === 0 ? 0.999 : 0;
      return share;
    },
  });
  await t.throwsAsync(backend.get('key'));
  t.deepEqual(clock.pauses, [100, 0, 400, 0, 1599, 0, 6394, 0, 9990, 0, 9990]);
});

test('a server that says when gets that pause, up to a minute', async (t) => {
  const clock = createSimulatedClock();
  const waits = [1500, 3_600_000];
  const backend = openRetryingBackend(
    faulty(2, () => busy(waits.shift())),
    { clock, random: () => 0.1 },
  );
  await backend.put('key', text(1));
  t.deepEqual(clock.pauses, [1510, 60_020]);
});

test('it says how often it has tried, and that nobody needs to try again', async (t) => {
  const inner = faulty(100);
  const backend = openRetryingBackend(inner, { clock, random: () => 0, attemptCount: 3 });
  const error = await t.throwsAsync(backend.get('key'), { code: 'UNAVAILABLE' });
  t.is(error?.message, 'place: key: read: 503 (tried 3 times)');
  t.like(error, { retry: 'never', subject: 'place: key', step: 'read' });
  t.is(inner.calls, 3);
});

test('every pause is told before it is made', async (t) => {
  const told: RetryEvent[] = [];
  const onRetry = (event: RetryEvent): void => void told.push(event);
  const backend = openRetryingBackend(faulty(2), { clock, random: () => 0.5, onRetry });
  await backend.put('key', text(1));
  t.deepEqual(
    told.map(({ label, attempt, delayMs, error }) => [label, attempt, delayMs, error.reason]),
    [
      ['place', 1, 50, '503'],
      ['place', 2, 100, '503'],
    ],
  );
});

for (const [name, error] of Object.entries({
  'what is missing': new ObjectMissing({ reason: '404' }),
  'what is denied': new StorageError('DENIED', { reason: '403' }),
  'a mistake in the program': new TypeError('oops'),
})) {
  test(`${name} is not tried again`, async (t) => {
    const inner = faulty(100, () => error);
    const backend = openRetryingBackend(inner, { clock, random: () => 0 });
    t.is(await t.throwsAsync(backend.get('key')), error);
    t.is(inner.calls, 1);
  });
}

test('a barrier is not tried again: what it lost is lost', async (t) => {
  const inner = faulty(1);
  const backend = openRetryingBackend(inner, { clock, random: () => 0 });
  await t.throwsAsync(backend.flush(), { message: 'place: key: read: 503' });
  t.is(inner.calls, 1);
});

test('a signal ends a pause', async (t) => {
  const controller = new AbortController();
  const reason = new Error('stopped');
  const sleeping = { now: () => 0, sleep: neverEnding };
  const onRetry = (): void => queueMicrotask(() => controller.abort(reason));
  const backend = openRetryingBackend(faulty(9), { clock: sleeping, random: () => 1, onRetry });
  await t.throwsAsync(backend.get('key', { signal: controller.signal }), { is: reason });
});

function neverEnding(_ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason));
  });
}

/** Breaks off each listing a little later than the one before. */
function breakingLists(listInOrder: boolean): ObjectBackend {
  const backend = createMemoryBackend();
  let allowed = 0;
  return {
    ...backend,
    can: { ...backend.can, listInOrder },
    async *list(prefix, options) {
      let left = allowed++;
      const found = [];
      for await (const object of backend.list(prefix, options)) found.push(object);
      for (const object of found.sort((a, b) => (a.key < b.key ? -1 : 1))) {
        if (left-- === 0) throw busy();
        yield object;
      }
    },
  };
}

async function keysOf(backend: ObjectBackend): Promise<readonly string[]> {
  const keys = ['a/1', 'a/2', 'b', 'c'];
  for (const key of keys) await backend.put(key, noise(1));
  const found: string[] = [];
  for await (const { key } of backend.list('')) found.push(key);
  return found;
}

test('a list in order goes on behind what was listed last', async (t) => {
  const options = { clock, random: () => 0, attemptCount: 2 };
  const backend = openRetryingBackend(breakingLists(true), options);
  t.deepEqual(await keysOf(backend), ['a/1', 'a/2', 'b', 'c']);
});

test('a list without order is tried again only before its first object', async (t) => {
  const backend = openRetryingBackend(breakingLists(false), { clock, random: () => 0 });
  await t.throwsAsync(keysOf(backend), { code: 'UNAVAILABLE' });
});
