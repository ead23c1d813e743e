/** Jobs over what comes one after the other: several at a time, their results in order. */
import { throwIfAborted } from '../errors.ts';
import { unattended } from './unattended.ts';

/** What holds memory until whoever has taken it gives it back. */
interface Releasable {
  release(): void;
}

export interface InOrderOptions {
  /** Jobs that may be under way before the first of them is waited for. */
  readonly most: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The results of `start`, called for each part, in the order of the parts. Whoever takes a result releases
 * it; results that nobody takes any more are released here, once their jobs have ended.
 * @throws what `parts` and `start` throw, in their order; PipelineError `ABORTED`
 */
export async function* inOrder<Part, Result extends Releasable>(
  parts: AsyncIterable<Part>,
  start: (part: Part) => Promise<Result>,
  { most, signal }: InOrderOptions,
): AsyncGenerator<Result> {
  const ahead: Promise<Result>[] = [];
  try {
    for await (const part of parts) {
      throwIfAborted(signal);
      ahead.push(unattended(start(part)));
      while (ahead.length > most) yield await (ahead.shift() as Promise<Result>);
    }
    while (ahead.length > 0) yield await (ahead.shift() as Promise<Result>);
    throwIfAborted(signal);
  } finally {
    for (const ended of await Promise.allSettled(ahead)) {
      if (ended.status === 'fulfilled') ended.value.release();
    }
  }
}
