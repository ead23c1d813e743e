/** Promise 4 for the leases themselves: no order of steps takes a chunk from an index. */
import test from 'ava';
import { CasError } from '../../formats/errors.ts';
import type { ObjectBackend } from '../../store/backend.ts';
import { acquireLease } from '../../store/lease.ts';
import { explore, type ModelOptions, type Place, type Program } from './lease-model.ts';

/** Stores a chunk unless it is there, and publishes an index that needs it. */
function make(name: string): Program {
  return async ({ backend, options, step, hurry }: Place) => {
    const lease = await acquireLease(backend, 'shared', options);
    try {
      await step('use chunk', ({ chunks }) => void chunks.add('c'));
      await lease.confirm();
      hurry(true);
      await step('publish', ({ indexes }) => void indexes.set(name, 'c'));
      hurry(false);
    } catch (error) {
      await lease.release();
      throw error;
    }
    if (!(await lease.release())) throw new CasError('LEASE_LOST', { reason: 'too late' });
  };
}

/** Removes the chunk unless an index needs it. */
const gc: Program = async ({ backend, options, step, hurry }) => {
  const lease = await acquireLease(backend, 'exclusive', options);
  try {
    const live = await step('read indexes', ({ indexes }) => [...indexes.values()]);
    if (!live.includes('c')) {
      await lease.confirmRecent();
      hurry(true);
      await step('remove chunk', ({ chunks }) => void chunks.delete('c'));
      hurry(false);
    }
  } catch (error) {
    await lease.release();
    throw error;
  }
  if (!(await lease.release())) throw new CasError('LEASE_LOST', { reason: 'too late' });
};

const TWO = [make('a'), gc];
const THREE: Readonly<Record<string, readonly Program[]>> = {
  'two makes and a gc': [make('a'), make('b'), gc],
  'a make and two gcs': [make('a'), gc, gc],
};
/** Who has the smaller ids matters among gcs. */
const RANKS = [
  [0, 1, 2],
  [2, 1, 0],
];

test('a make and a gc: all end, and no index lacks a chunk', async (t) => {
  const { stateCount, ends, losses, deadlocks } = await explore({ programs: TWO });
  t.deepEqual([losses, deadlocks], [[], []]);
  t.deepEqual([...ends], ['done, done']);
  t.log(`${stateCount} states`);
});

for (const [title, programs] of Object.entries(THREE)) {
  for (const ranks of RANKS) {
    test(`${title}: all end, and no index lacks a chunk (ids ${ranks.join('')})`, async (t) => {
      const exploration = await explore({ programs, ranks, isCoarse: true });
      const { stateCount, ends, losses, deadlocks } = exploration;
      t.deepEqual([losses, deadlocks], [[], []]);
      t.deepEqual([...ends], ['done, done, done']);
      t.log(`${stateCount} states`);
    });
  }
}

const FAULTS: Readonly<Record<string, Partial<ModelOptions>>> = {
  'one that dies, and is seen to be dead': { deathCount: 1 },
  'one that dies, and nobody knows': { deathCount: 1, jumpCount: 1, seesProcesses: false },
  'all that stand still for long': { jumpCount: 1, seesProcesses: false },
  'all that stand still for long, twice': { jumpCount: 2, seesProcesses: false, isCoarse: true },
};

for (const [fault, options] of Object.entries(FAULTS)) {
  test(`a make and a gc, with ${fault}: no index lacks a chunk`, async (t) => {
    const exploration = await explore({ programs: TWO, ...options });
    const { stateCount, ends, losses, deadlocks } = exploration;
    t.deepEqual([losses, deadlocks], [[], []]);
    const words = new Set([...ends].flatMap((end) => end.split(', ')));
    for (const word of words) t.true(['done', 'dead', 'LEASE_LOST'].includes(word), word);
    t.is(options.jumpCount !== undefined, words.has('LEASE_LOST'));
    t.log(`${stateCount} states: ${[...ends].join(' | ')}`);
  });
}

test('a make, another and a gc, with one that dies: no index lacks a chunk', async (t) => {
  const programs = [make('a'), make('b'), gc];
  const options = { programs, deathCount: 1, isCoarse: true };
  const { stateCount, losses, deadlocks } = await explore(options);
  t.deepEqual([losses, deadlocks], [[], []]);
  t.log(`${stateCount} states`);
});

test('who stands still between his last look and the step it was for says so afterwards', async (t) => {
  const options = { programs: TWO, jumpCount: 1, seesProcesses: false, ignoresHurry: true };
  const { losses } = await explore(options);
  t.true(losses.length > 0, 'nothing can prevent it');
  for (const loss of losses) t.regex(loss, /LEASE_LOST/);
});

/** Changes of the protocol, each of which must be noticed. */
const MUTATIONS: Readonly<Record<string, Partial<ModelOptions>>> = {
  'looks for others before it says that it is there': { disturb: listBeforePut },
  'believes that its lease is never lost': {
    jumpCount: 1,
    seesProcesses: false,
    disturb: (backend) => ({ ...backend, has: async () => true }),
  },
  'takes a lease away without looking for a sign of life': {
    jumpCount: 1,
    seesProcesses: false,
    disturb: (backend) => ({ ...backend, stat: async () => undefined }),
  },
};

/** What is listed is what was there before our own latest object. */
function listBeforePut(backend: ObjectBackend): ObjectBackend {
  let before: { key: string; size: number; modified: Date }[] = [];
  let own: string[] = [];
  return {
    ...backend,
    async put(key, bytes) {
      before = [];
      for await (const object of backend.list('')) before.push(object);
      own = [key];
      return backend.put(key, bytes);
    },
    async *list() {
      yield* before;
      for (const key of own) yield { key, size: 1, modified: new Date(0) };
    },
  };
}

for (const [mutation, options] of Object.entries(MUTATIONS)) {
  test(`the model notices code that ${mutation}`, async (t) => {
    const { losses } = await explore({ programs: TWO, stopsAtLoss: true, ...options });
    t.true(losses.length > 0);
    t.log(losses[0]);
  });
}
