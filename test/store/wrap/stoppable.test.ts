import test from 'ava';
import { CasError } from '../../../formats/errors.ts';
import type { ObjectBackend, SignalOption } from '../../../store/backend.ts';
import { createMemoryBackend } from '../../../store/backends/memory.ts';
import { openStoppableBackend } from '../../../store/wrap/stoppable.ts';
import { backendSuite } from '../../conformance/backend.ts';

const STOPPED = new CasError('ABORTED', { reason: 'interrupted' });
const TOO_LATE = new CasError('ABORTED', { reason: 'too late' });

backendSuite('stoppable memory', () =>
  openStoppableBackend(createMemoryBackend(), {
    signal: new AbortController().signal,
    afterwards: () => AbortSignal.abort(TOO_LATE),
  }),
);

/** A server that never answers. */
function silentBackend(): ObjectBackend {
  const never = (options?: SignalOption): Promise<never> =>
    new Promise((_, reject) => {
      const signal = options?.signal;
      if (signal?.aborted) reject(signal.reason);
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
  return {
    ...createMemoryBackend(),
    has: (_, options) => never(options),
    put: (_key, _bytes, options) => never(options),
    remove: (_, options) => never(options),
    list: (_, options) => ({ [Symbol.asyncIterator]: () => ({ next: () => never(options) }) }),
  };
}

test('requests under way end when the signal fires, those that follow after a moment', async (t) => {
  const controller = new AbortController();
  const moment = new AbortController();
  const backend = openStoppableBackend(silentBackend(), {
    signal: controller.signal,
    afterwards: () => moment.signal,
  });
  const waiting = [
    t.throwsAsync(async () => backend.has(['a']), { is: STOPPED }),
    t.throwsAsync(backend.put('a', new Uint8Array(1)), { is: STOPPED }),
    t.throwsAsync(backend.list('')[Symbol.asyncIterator]().next(), { is: STOPPED }),
  ];
  controller.abort(STOPPED);
  await Promise.all(waiting);
  const cleaning = t.throwsAsync(backend.remove('a'), { is: TOO_LATE });
  moment.abort(TOO_LATE);
  await cleaning;
});
