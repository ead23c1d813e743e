/**
 * Where the bulk work of a pipeline runs: in this thread or on several. A pipeline sends jobs, plain
 * functions over plain data (jobs.node.ts), and does not know which it is; the results are the same.
 */
import { createBreather } from './breathe.ts';

/** A job: what a thread keeps between jobs, and an input that may be copied between threads. */
// biome-ignore lint/suspicious/noExplicitAny: the table of jobs says what each of them takes.
export type Job<Context> = (context: Context, input: any) => unknown;

/** All jobs of a program by name. */
export type JobTable<Context> = Readonly<Record<string, Job<Context>>>;

export type JobInput<Jobs, Name extends keyof Jobs> = Jobs[Name] extends (
  context: never,
  input: infer Input,
) => unknown
  ? Input
  : never;

export type JobOutput<Jobs, Name extends keyof Jobs> = Jobs[Name] extends (
  ...parameters: never[]
) => infer Output
  ? Awaited<Output>
  : never;

export interface RunOptions {
  /** Jobs with this mark run one after another, in the order in which they were given, on one thread. */
  readonly inSequence?: boolean;
}

export interface Pool<Jobs> {
  /** Threads that jobs run on after {@link start}; 0 if all of them run in the caller's. */
  readonly threadCount: number;
  /**
   * From now on jobs run on threads, where there are any. Until then they run in the caller's: starting
   * threads costs more than a small input. To be called before the first job `inSequence`, if at all.
   */
  start(): void;
  /**
   * Resolves to what the job returns. Jobs are begun in the order in which they were given.
   * @throws what the job throws; PipelineError `IO` if its thread died
   */
  run<Name extends keyof Jobs & string>(
    name: Name,
    input: JobInput<Jobs, Name>,
    options?: RunOptions,
  ): Promise<JobOutput<Jobs, Name>>;
  /** Runs a job once on every thread that has run any, and waits for all. */
  runOnAll<Name extends keyof Jobs & string>(
    name: Name,
    input: JobInput<Jobs, Name>,
  ): Promise<readonly JobOutput<Jobs, Name>[]>;
  /** Waits for the jobs that have begun, drops all others, and frees what the threads hold. */
  close(): Promise<void>;
}

/** What a thread keeps between jobs. */
export interface Closable {
  close(): Promise<void>;
}

/** A pool without threads: each job runs here, one after another. */
export class InlinePool<Context extends Closable, Jobs extends JobTable<Context>>
  implements Pool<Jobs>
{
  readonly threadCount = 0;
  readonly #jobs: Jobs;
  readonly #open: () => Context;
  readonly #breathe = createBreather();
  #context: Context | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param open makes the context when the first job comes */
  constructor(jobs: Jobs, open: () => Context) {
    this.#jobs = jobs;
    this.#open = open;
  }

  start(): void {}

  run<Name extends keyof Jobs & string>(
    name: Name,
    input: JobInput<Jobs, Name>,
  ): Promise<JobOutput<Jobs, Name>> {
    const result = this.#last.then(async () => {
      await this.#breathe();
      this.#context ??= this.#open();
      return this.#jobs[name](this.#context, input) as JobOutput<Jobs, Name>;
    });
    this.#last = result.catch(() => {});
    return result;
  }

  async runOnAll<Name extends keyof Jobs & string>(
    name: Name,
    input: JobInput<Jobs, Name>,
  ): Promise<readonly JobOutput<Jobs, Name>[]> {
    return this.#context === undefined ? [] : [await this.run(name, input)];
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#context?.close();
  }
}
