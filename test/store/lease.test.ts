import test from 'ava';
import type { ObjectBackend } from '../../store/backend.ts';
import { createMemoryBackend } from '../../store/backends/memory.ts';
import { StorageError } from '../../store/errors.ts';
import { acquireLease, type LeaseHolder, type LeaseOptions } from '../../store/lease.ts';

const HOLDER: LeaseHolder = {
  host: 'h',
  processId: 1,
  processStart: '1',
  machine: 'm',
  fileSystem: 'f',
};

/** Time passes while somebody sleeps; beats are given by hand. */
function fakeTime() {
  const beats: (() => void)[] = [];
  let nowMs = 0;
  let count = 0;
  const options: LeaseOptions = {
    holder: HOLDER,
    isAlive: () => undefined,
    newId: () => (count++).toString(16).padStart(16, '0'),
    clock: {
      now: () => nowMs,
      sleep: async (ms) => {
        nowMs += ms;
      },
      every(_, action) {
        beats.push(action);
        return () => beats.splice(beats.indexOf(action), 1);
      },
    },
    waitMs: 5000,
  };
  return { options, beats, pass: (ms: number) => (nowMs += ms), now: () => nowMs };
}

async function keysOf(backend: ObjectBackend): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of backend.list('')) keys.push(key);
  return keys.sort();
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('a lease that is held gives signs of life, and leaves nothing behind', async (t) => {
  const { options, beats } = fakeTime();
  const backend = createMemoryBackend();
  const lease = await acquireLease(backend, 'shared', options);
  t.deepEqual(await keysOf(backend), ['leases/0000000000000000.shared']);
  beats[0]();
  await nextTurn();
  t.deepEqual(await keysOf(backend), [
    'leases/0000000000000000.shared',
    'leases/0000000000000000.shared-beat',
  ]);
  t.true(await lease.release());
  t.deepEqual(await keysOf(backend), []);
  t.is(beats.length, 0);
});

test('a sign of life that cannot be given is no end; the next confirmation tells', async (t) => {
  const { options, beats } = fakeTime();
  const memory = createMemoryBackend();
  let isFull = false;
  const backend: ObjectBackend = {
    ...memory,
    async put(key, bytes) {
      if (isFull) throw new StorageError('TARGET_FULL', { reason: 'full' });
      return memory.put(key, bytes);
    },
  };
  const lease = await acquireLease(backend, 'shared', options);
  isFull = true;
  beats[0]();
  await nextTurn();
  await t.throwsAsync(lease.confirm(), { code: 'TARGET_FULL' });
  isFull = false;
  await lease.confirm();
  t.true(await lease.release());
});

test('a confirmation is believed for a while, and not for long', async (t) => {
  const { options, pass } = fakeTime();
  const backend = createMemoryBackend();
  const lease = await acquireLease(backend, 'exclusive', options);
  await backend.remove('leases/0000000000000000.exclusive');
  pass(60_000);
  await lease.confirmRecent();
  pass(5 * 60_000);
  await t.throwsAsync(lease.confirmRecent(), { code: 'LEASE_LOST' });
  await t.throwsAsync(lease.confirmRecent(), { code: 'LEASE_LOST' });
  t.false(await lease.release());
});

test('shared leases do not disturb each other', async (t) => {
  const { options } = fakeTime();
  const backend = createMemoryBackend();
  const one = await acquireLease(backend, 'shared', options);
  const two = await acquireLease(backend, 'shared', options);
  await one.confirm();
  await two.confirm();
  t.true(await one.release());
  t.true(await two.release());
});

test('who has waited long enough is told for whom, and leaves nothing behind', async (t) => {
  const { options, now } = fakeTime();
  const backend = createMemoryBackend();
  const held = await acquireLease(backend, 'exclusive', options);
  const told: string[] = [];
  const waiting = { ...options, onWait: (reason: string) => told.push(reason) };
  for (const kind of ['shared', 'exclusive'] as const) {
    const started = now();
    const error = await t.throwsAsync(acquireLease(backend, kind, waiting), { code: 'LEASE_HELD' });
    t.is(error.message, 'memory: in use by gc (process 1 on h)');
    t.is(now() - started, options.waitMs);
  }
  t.deepEqual(told, Array(2).fill('in use by gc (process 1 on h)'));
  t.deepEqual(await keysOf(backend), ['leases/0000000000000000.exclusive']);
  t.true(await held.release());
});

test('a storage that does not list what was put does not hang anybody', async (t) => {
  const { options } = fakeTime();
  const backend: ObjectBackend = { ...createMemoryBackend(), async *list() {} };
  await t.throwsAsync(acquireLease(backend, 'shared', options), { code: 'LEASE_HELD' });
});

test('a storage that shows objects only when flushed does', async (t) => {
  const { options } = fakeTime();
  const backend = createMemoryBackend({ holdBack: true });
  const lease = await acquireLease(backend, 'exclusive', options);
  await lease.confirm();
  t.true(await lease.release());
});

test('what else lies in the folder of leases is no lease', async (t) => {
  const { options } = fakeTime();
  const backend = createMemoryBackend();
  for (const name of [
    'README',
    '0123.shared',
    '0123456789abcdef.other',
    'x/0123456789abcdef.shared',
  ]) {
    await backend.put(`leases/${name}`, new Uint8Array(1));
  }
  const lease = await acquireLease(backend, 'exclusive', options);
  t.true(await lease.release());
  t.is((await keysOf(backend)).length, 4);
});
