/** Tests of the extraction of trees that run in each of the ways in which entries can be restored. */
import test, { type ExecutionContext } from 'ava';
import type { RunRestore } from '../../lib/extract/batch-sink.node.ts';
import { openJobPool } from '../../lib/work/job-pool.node.ts';
import { restoreEntries } from '../../lib/work/jobs/restore-entries.node.ts';
import type { JobPool } from '../../lib/work/jobs.node.ts';
import { extractArchive, extractEvents } from './extract-tree.ts';

/** A way in which entries are restored. */
export interface Way {
  readonly extractArchive: typeof extractArchive;
  readonly extractEvents: typeof extractEvents;
}

let pool: JobPool | undefined;

function runOnThreads(input: Parameters<RunRestore>[0]): ReturnType<RunRestore> {
  if (pool === undefined) {
    pool = openJobPool({}, 2);
    pool.start();
  }
  return pool.run('restoreEntries', input);
}

/** All of them must have the same result. */
const RUNS: readonly (readonly [name: string, run: RunRestore | undefined])[] = [
  ['one by one', undefined],
  ['in batches', async (input) => restoreEntries(undefined, input)],
  ['on threads', runOnThreads],
];

/** A test for each of the ways, one after another: umask and descriptors are of the process. */
export function testEveryWay(
  title: string,
  check: (t: ExecutionContext, way: Way) => Promise<void>,
): void {
  for (const [name, run] of RUNS) {
    const more = run === undefined ? {} : { run };
    const way: Way = {
      extractArchive: (archive, target, options) =>
        extractArchive(archive, target, { ...options, ...more }),
      extractEvents: (events, target, options) =>
        extractEvents(events, target, { ...options, ...more }),
    };
    test.serial(`${title} (${name})`, (t) => check(t, way));
  }
}

test.after.always('threads end', async () => {
  await pool?.close();
});
