import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { CasError } from '../../../formats/errors.ts';
import { createThreadPool, READY } from '../../../lib/work/pool.node.ts';
import { InlinePool } from '../../../lib/work/pool.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

interface Context {
  readonly seen: number[];
  close(): Promise<void>;
}

const openContext = (): Context => ({ seen: [], close: async () => {} });

/** The same jobs as in {@link SCRIPT}. */
const JOBS = {
  double: (_: Context, value: number): number => 2 * value,
  remember(context: Context, value: number): readonly number[] {
    context.seen.push(value);
    return [...context.seen];
  },
  fail(_: Context, code: string): void {
    throw new CasError(code, { subject: 'it', step: 'try', reason: 'no', retry: 'later' });
  },
  blunder(): void {
    throw new TypeError('a mistake');
  },
  die: (_: Context, _code: number): void => {},
};

const SCRIPT = `
  const { parentPort, workerData } = require('node:worker_threads');
  const seen = [];
  const jobs = {
    close: () => undefined,
    double: (value) => 2 * value,
    remember: (value) => { seen.push(value); return [...seen]; },
    die: (code) => process.exit(code),
  };
  parentPort.on('message', ({ number, name, input }) => {
    if (name === 'fail') {
      const error = { code: input, subject: 'it', step: 'try', reason: 'no', retry: 'later' };
      parentPort.postMessage({ number, error });
    } else if (name === 'blunder') {
      parentPort.postMessage({ number, error: { reason: 'a mistake', stack: 'here' } });
    } else parentPort.postMessage({ number, output: jobs[name](input) });
  });
  if (!workerData.isSlow) parentPort.postMessage('${READY}');
`;

function openPool(t: ExecutionContext, threadCount: number, setup: { isSlow?: boolean } = {}) {
  if (threadCount === 0) return new InlinePool(JOBS, openContext);
  const path = join(temporaryFolder(t), 'script.cjs');
  writeFileSync(path, SCRIPT);
  const script = pathToFileURL(path);
  const pool = createThreadPool({ threadCount, jobs: JOBS, openContext, script, setup });
  pool.start();
  t.teardown(() => pool.close());
  return pool;
}

for (const threadCount of [0, 1, 2, 7]) {
  test(`${threadCount} threads: every job has its own result`, async (t) => {
    const pool = openPool(t, threadCount);
    const values = Array.from({ length: 200 }, (_, i) => i);
    const results = await Promise.all(values.map((value) => pool.run('double', value)));
    t.deepEqual(
      results,
      values.map((value) => 2 * value),
    );
  });

  test(`${threadCount} threads: jobs in sequence run in order on one thread`, async (t) => {
    const pool = openPool(t, threadCount);
    const others: Promise<number>[] = [];
    const runs = [1, 2, 3, 4, 5].map((value) => {
      others.push(pool.run('double', value));
      return pool.run('remember', value, { inSequence: true });
    });
    t.deepEqual((await Promise.all(runs)).at(-1), [1, 2, 3, 4, 5]);
    t.deepEqual(await Promise.all(others), [2, 4, 6, 8, 10]);
  });

  test(`${threadCount} threads: failures keep what they say`, async (t) => {
    const pool = openPool(t, threadCount);
    const error = await t.throwsAsync(pool.run('fail', 'CHUNK_MISSING'));
    t.like(error, { code: 'CHUNK_MISSING', subject: 'it', message: 'it: try: no', retry: 'later' });
    const mistake = await t.throwsAsync(pool.run('blunder', undefined));
    t.is(mistake?.message, 'a mistake');
    t.is(await pool.run('double', 4), 8);
  });
}

test('a job for all runs once on each thread that is ready', async (t) => {
  const pool = openPool(t, 3);
  let seen: readonly (readonly number[])[] = [];
  for (; seen.length < 3; seen = await pool.runOnAll('remember', 7)) await setImmediate();
  t.deepEqual(
    await pool.runOnAll('remember', 8),
    seen.map((values) => [...values, 8]),
  );
});

test('before the start jobs run here', async (t) => {
  const script = pathToFileURL('/does/not/exist.cjs');
  const pool = createThreadPool({ threadCount: 2, jobs: JOBS, openContext, script, setup: {} });
  t.is(await pool.run('double', 21), 42);
  t.deepEqual(await pool.runOnAll('remember', 1), [[1]]);
  await pool.close();
});

test('a thread that dies fails its jobs, those that wait, and all that come', async (t) => {
  const pool = openPool(t, 2);
  const runs = [
    pool.run('die', 7, { inSequence: true }),
    ...[1, 2, 3, 4, 5, 6].map((value) => pool.run('double', value)),
  ];
  const results = await Promise.allSettled(runs);
  t.is(results[0].status, 'rejected');
  const error = await t.throwsAsync(pool.run('double', 1));
  t.like(error, { code: 'IO', message: 'run worker thread: ended with status 7' });
});

test('a script that cannot be loaded is a failure of the first job', async (t) => {
  const script = pathToFileURL('/does/not/exist.cjs');
  const work = { jobs: JOBS, openContext, script, setup: {}, helps: false };
  const pool = createThreadPool({ threadCount: 1, ...work });
  pool.start();
  const error = await t.throwsAsync(pool.run('double', 1));
  t.regex(String(error?.message), /^run worker thread: Cannot find module/);
  await pool.close();
});

test('jobs are done here while threads are not ready', async (t) => {
  const pool = openPool(t, 2, { isSlow: true });
  const results = await Promise.all([1, 2, 3, 4, 5].map((value) => pool.run('double', value)));
  t.deepEqual(results, [2, 4, 6, 8, 10]);
});

test('closing waits for what has begun and drops what waits', async (t) => {
  const pool = openPool(t, 1);
  await pool.run('remember', 1, { inSequence: true });
  const runs = Array.from({ length: 50 }, (_, i) => pool.run('double', i));
  const settled = Promise.allSettled(runs);
  await pool.close();
  const results = await settled;
  t.is(results[0].status, 'fulfilled');
  t.is(results.at(-1)?.status, 'rejected');
  await t.throwsAsync(pool.run('double', 1), { message: 'interrupted' });
});
