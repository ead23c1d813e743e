/** The script of a worker thread: answers jobs one after another, in the order in which they come. */
import { parentPort, workerData } from 'node:worker_threads';
import { messageOfError } from './error-message.ts';
import { JobContext, type JobSetup } from './job-context.node.ts';
import { JOBS } from './jobs.node.ts';
import { CLOSE, type JobAnswer, type JobMessage, READY } from './pool.node.ts';
import type { Job } from './pool.ts';

const context = new JobContext(workerData as JobSetup);
const jobs: Readonly<Record<string, Job<JobContext>>> = JOBS;

async function answer({ number, name, input }: JobMessage): Promise<JobAnswer> {
  try {
    const output = name === CLOSE ? await context.close() : await jobs[name](context, input);
    return { number, output };
  } catch (error) {
    return { number, error: messageOfError(error) };
  }
}

let last: Promise<void> = Promise.resolve();

parentPort?.on('message', (message: JobMessage) => {
  last = last.then(async () => parentPort?.postMessage(await answer(message)));
});
parentPort?.postMessage(READY);
