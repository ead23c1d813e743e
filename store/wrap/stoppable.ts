/**
 * A backend whose requests end when work is to stop, also those for which nobody has said so: what
 * cleans up afterwards is given a moment, and no more. Used for leases, where a server may never answer.
 */
import type { ObjectBackend, SignalOption } from '../backend.ts';

export interface StoppableOptions {
  readonly signal: AbortSignal;
  /** A new signal for one request after that; fires after a moment. */
  readonly afterwards: () => AbortSignal;
}

/** @param backend stays the caller's own */
export function openStoppableBackend(
  backend: ObjectBackend,
  { signal, afterwards }: StoppableOptions,
): ObjectBackend {
  function stoppable<Options extends SignalOption>(options?: Options): Options {
    const own = options?.signal ?? (signal.aborted ? afterwards() : signal);
    return { ...options, signal: own } as Options;
  }
  const { removeMany } = backend;
  return {
    label: backend.label,
    can: backend.can,
    get: (key, options) => backend.get(key, stoppable(options)),
    has: (keys, options) => backend.has(keys, stoppable(options)),
    stat: (key, options) => backend.stat(key, stoppable(options)),
    put: (key, bytes, options) => backend.put(key, bytes, stoppable(options)),
    flush: (options) => backend.flush(stoppable(options)),
    remove: (key, options) => backend.remove(key, stoppable(options)),
    ...(removeMany && {
      removeMany: (keys, options) => removeMany.call(backend, keys, stoppable(options)),
    }),
    list: (prefix, options) => backend.list(prefix, stoppable(options)),
    close: () => backend.close(),
  };
}
