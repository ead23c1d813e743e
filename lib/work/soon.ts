/**
 * Answers that are there at once wherever nothing has to be waited for: a promise for each of very many
 * small questions would cost more than the questions. Used by readers of archives that lie in memory
 * mostly, and by file systems made of them.
 */

export type Soon<Value> = Value | Promise<Value>;

/** Work that is written front to back and stops only where it has to wait. */
export type Steps<Result> = Generator<Promise<unknown>, Result, unknown>;

/** Inside of steps, the value of an answer: `yield* awaited(answer)`. */
export function* awaited<Value>(answer: Soon<Value>): Steps<Value> {
  return answer instanceof Promise ? ((yield answer) as Value) : answer;
}

/** Does the work: at once if it never has to wait. Throws, or rejects, with what the work throws. */
export function settle<Result>(steps: Steps<Result>): Soon<Result> {
  const first = steps.next();
  return first.done ? first.value : goOn(steps, first.value);
}

async function goOn<Result>(steps: Steps<Result>, first: Promise<unknown>): Promise<Result> {
  for (let pending = first; ; ) {
    const next = await resume(steps, pending);
    if (next.done) return next.value;
    pending = next.value;
  }
}

async function resume<Result>(
  steps: Steps<Result>,
  pending: Promise<unknown>,
): Promise<IteratorResult<Promise<unknown>, Result>> {
  let value: unknown;
  try {
    value = await pending;
  } catch (error) {
    return steps.throw(error);
  }
  return steps.next(value);
}
