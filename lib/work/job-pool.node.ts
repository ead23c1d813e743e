/** Opens the pool of a pipeline. */
import { availableParallelism } from 'node:os';
import { JobContext, type JobSetup, type OpenStores } from './job-context.node.ts';
import { JOBS, type JobPool } from './jobs.node.ts';
import { createThreadPool } from './pool.node.ts';

/** Fewer bytes than this are not worth a thread. */
export const WORTH_THREADS = 8 * 1024 * 1024;

/** More threads than this wait for the one that plans and orders. */
const MOST_THREADS = 8;

/**
 * Threads besides the caller's, which helps them: one for each other processor. CASYNC_WORKERS sets
 * another number, 0 for none.
 */
export function defaultThreadCount(): number {
  const wanted = process.env.CASYNC_WORKERS ?? '';
  if (/^\d{1,3}$/.test(wanted)) return Number(wanted);
  return Math.min(availableParallelism() - 1, MOST_THREADS);
}

export interface JobPoolOptions extends OpenStores {
  /** Whether this thread takes jobs, too; true if left out. One that talks to servers has enough to do. */
  readonly helps?: boolean;
}

/**
 * @param setup for the contexts of all threads
 * @param options stores for jobs in this thread that `setup` does not describe; there must not be any
 * threads then
 */
export function openJobPool(
  setup: JobSetup,
  threadCount: number,
  { helps = true, ...open }: JobPoolOptions = {},
): JobPool {
  // In the bundled program the script lies beside the bundle.
  const name = import.meta.url.endsWith('.ts') ? './worker-from-source.cjs' : './worker.cjs';
  return createThreadPool({
    threadCount,
    jobs: JOBS,
    openContext: () => new JobContext(setup, open),
    script: new URL(name, import.meta.url),
    setup,
    helps,
  });
}
