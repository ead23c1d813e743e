/** Streams that come from outside may wait for ever; who waits for them must not. */
import { throwIfAborted } from '../errors.ts';

/**
 * The same pieces, until the signal fires: then the stream is left alone, even if it is waiting.
 * @throws PipelineError `ABORTED`
 */
export async function* untilAborted(
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  let wake = (): void => {};
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  let isEnded = false;
  try {
    for (;;) {
      throwIfAborted(signal);
      const next = iterator.next();
      await new Promise<void>((resolve, reject) => {
        wake = resolve;
        next.then(() => resolve(), reject);
        // Asking for the next piece may have been what fired it.
        if (signal.aborted) resolve();
      });
      throwIfAborted(signal);
      const { done, value } = await next;
      isEnded = done === true;
      if (isEnded) return;
      yield value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // A stream that is waiting may never answer.
    if (!isEnded) Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
