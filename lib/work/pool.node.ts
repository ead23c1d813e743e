/**
 * A pool on worker threads, with the help of the caller's own thread whenever all others are busy: so
 * there is one thread less to start, and none is idle. A thread that dies fails its jobs with an error that says so, and the
 * pool with it: nothing waits for ever.
 */
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { PipelineError } from '../errors.ts';
import { type ErrorMessage, errorFromMessage } from './error-message.ts';
import {
  type Closable,
  InlinePool,
  type JobInput,
  type JobOutput,
  type JobTable,
  type Pool,
  type RunOptions,
} from './pool.ts';

/** Jobs given to a thread at a time: some wait there, so that no thread waits for us. */
const JOBS_PER_THREAD = 3;

/** What a thread is asked. */
export interface JobMessage {
  readonly number: number;
  readonly name: string;
  readonly input: unknown;
}

/** What it says, once, when it can take jobs. */
export const READY = 'ready';

/** What it answers. */
export type JobAnswer =
  | { readonly number: number; readonly output: unknown }
  | { readonly number: number; readonly error: ErrorMessage };

export interface ThreadPoolOptions<Context, Jobs> {
  /** Threads besides the caller's; 0 for none. */
  readonly threadCount: number;
  readonly jobs: Jobs;
  /** Makes the context for jobs in this thread. */
  readonly openContext: () => Context;
  /** Script that answers {@link JobMessage}s. */
  readonly script: URL;
  /** Handed to the script as `workerData`. */
  readonly setup: unknown;
  /** Whether the caller's thread takes jobs, too, while all others are busy; true if left out. */
  readonly helps?: boolean;
}

interface Waiting {
  readonly message: JobMessage;
  readonly resolve: (output: never) => void;
  readonly reject: (error: unknown) => void;
}

interface Thread {
  readonly worker: Worker;
  /** Given to the thread and not answered, oldest first. */
  readonly begun: Map<number, Waiting>;
  /** For this thread and no other. */
  readonly own: Waiting[];
  /** It takes jobs: until then others do them, as starting takes as long as many jobs. */
  isReady: boolean;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class ThreadPool<Context extends Closable, Jobs extends JobTable<Context>> implements Pool<Jobs> {
  readonly threadCount: number;
  readonly #options: ThreadPoolOptions<Context, Jobs>;
  readonly #inline: InlinePool<Context, Jobs>;
  readonly #waiting: Waiting[] = [];
  #threads: readonly Thread[] = [];
  #count = 0;
  #failure: unknown;
  #isHelping = false;

  constructor(options: ThreadPoolOptions<Context, Jobs>) {
    this.threadCount = options.threadCount;
    this.#options = options;
    this.#inline = new InlinePool(options.jobs, options.openContext);
  }

  start(): void {
    if (this.#threads.length > 0) return;
    this.#threads = Array.from({ length: this.threadCount }, () => this.#startThread());
  }

  run<Name extends keyof Jobs & string>(
    name: Name,
    input: JobInput<Jobs, Name>,
    { inSequence = false }: RunOptions = {},
  ): Promise<JobOutput<Jobs, Name>> {
    if (this.#threads.length === 0) return this.#inline.run(name, input);
    const queue = inSequence ? this.#threads[0].own : this.#waiting;
    return this.#add(queue, name, input) as Promise<JobOutput<Jobs, Name>>;
  }

  async runOnAll<Name extends keyof Jobs & string>(
    name: Name,
    input: JobInput<Jobs, Name>,
  ): Promise<readonly JobOutput<Jobs, Name>[]> {
    const onThreads = this.#readyThreads().map(({ own }) => this.#add(own, name, input));
    const [here, there] = await Promise.all([
      this.#inline.runOnAll(name, input),
      Promise.all(onThreads) as Promise<JobOutput<Jobs, Name>[]>,
    ]);
    return [...here, ...there];
  }

  async close(): Promise<void> {
    const dropped = new PipelineError('ABORTED', { reason: 'interrupted' });
    this.#dropWaiting(dropped);
    await this.#inline.close();
    if (this.#failure === undefined) {
      const closing = this.#readyThreads().map(({ own }) => this.#add(own, CLOSE, undefined));
      await Promise.allSettled(closing);
    }
    this.#failure ??= dropped;
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #add(queue: Waiting[], name: string, input: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      queue.push({ message: { number: this.#count++, name, input }, resolve, reject });
      this.#dispatch();
    });
  }

  /** Gives out waiting jobs, to idle threads first. */
  #dispatch(): void {
    for (let most = 1; most <= JOBS_PER_THREAD; most++) {
      for (const { worker, begun, own, isReady } of this.#threads) {
        if (begun.size >= most || !isReady) continue;
        const next = own.shift() ?? this.#waiting.shift();
        if (next === undefined) continue;
        begun.set(next.message.number, next);
        worker.postMessage(next.message);
      }
    }
    const { helps = true } = this.#options;
    if (helps && this.#waiting.length > 0 && !this.#isHelping) void this.#help();
  }

  /** Runs what no thread has room for; between two jobs the threads are looked after. */
  async #help(): Promise<void> {
    this.#isHelping = true;
    await nextTurn();
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      const { name, input } = job.message;
      const output = this.#inline.run(name, input as JobInput<Jobs, string>);
      await output.then(job.resolve as (output: unknown) => void, job.reject);
      await nextTurn();
    }
    this.#isHelping = false;
  }

  /** All others have not done anything. */
  #readyThreads(): readonly Thread[] {
    return this.#threads.filter(({ isReady }) => isReady);
  }

  #startThread(): Thread {
    const { script, setup } = this.#options;
    const worker = new Worker(script, {
      workerData: setup,
      env: SHARE_ENV,
      // Descriptors belong to the whole process; a thread must not close them when it ends.
      trackUnmanagedFds: false,
      execArgv: [],
    });
    const thread: Thread = { worker, begun: new Map(), own: [], isReady: false };
    worker.on('message', (message: JobAnswer | typeof READY) => {
      if (message !== READY) this.#answered(thread, message);
      else {
        thread.isReady = true;
        this.#dispatch();
      }
    });
    worker.on('error', (error) => this.#died(thread, error.message));
    worker.on('exit', (code) => this.#died(thread, `ended with status ${code}`));
    return thread;
  }

  #answered(thread: Thread, answer: JobAnswer): void {
    const job = thread.begun.get(answer.number);
    thread.begun.delete(answer.number);
    this.#dispatch();
    if (job === undefined) return;
    if ('error' in answer) job.reject(errorFromMessage(answer.error));
    else job.resolve(answer.output as never);
  }

  #died(thread: Thread, reason: string): void {
    this.#failure ??= new PipelineError('IO', { step: 'run worker thread', reason });
    for (const { reject } of thread.begun.values()) reject(this.#failure);
    thread.begun.clear();
    this.#dropWaiting(this.#failure);
  }

  #dropWaiting(reason: unknown): void {
    const queues = [this.#waiting, ...this.#threads.map(({ own }) => own)];
    for (const { reject } of queues.flatMap((queue) => queue.splice(0))) reject(reason);
  }
}

/** The job that every thread knows besides those of the table: frees what its context holds. */
export const CLOSE = 'close';

/** A pool whose threads begin with {@link Pool.start}, or one without threads. */
export function createThreadPool<Context extends Closable, Jobs extends JobTable<Context>>(
  options: ThreadPoolOptions<Context, Jobs>,
): Pool<Jobs> {
  if (options.threadCount === 0) return new InlinePool(options.jobs, options.openContext);
  return new ThreadPool(options);
}
