/** Equal reads that are under way at the same time share one request (spec/remote.md, "Wrappers"). */

import type { GetObjectOptions, ObjectBackend, ObjectKey } from '../backend.ts';
import { copied } from '../callers-memory.ts';

interface Flight {
  /** Settles after all who joined have got their copies. */
  readonly landed: Promise<Uint8Array>;
  readonly signal: AbortSignal | undefined;
  readonly joined: ((bytes: Uint8Array) => void)[];
}

/**
 * The first caller's request is made as it was asked for; others with the same wish get copies of its
 * result. If the first one is aborted, the next of them asks again.
 * @param backend belongs to the result from now on
 */
export function openCoalescingBackend(backend: ObjectBackend): ObjectBackend {
  const flights = new Map<string, Flight>();

  function take(key: ObjectKey, options: GetObjectOptions, wish: string): Promise<Uint8Array> {
    const joined: Flight['joined'] = [];
    const landed = backend.get(key, options).then(
      (bytes) => {
        flights.delete(wish);
        // Now: what the first caller gets he may overwrite at once.
        for (const copy of joined) copy(bytes);
        return bytes;
      },
      (error: unknown) => {
        flights.delete(wish);
        throw error;
      },
    );
    flights.set(wish, { landed, signal: options.signal, joined });
    return landed;
  }

  const { removeMany } = backend;
  return {
    label: backend.label,
    can: backend.can,
    async get(key, options = {}) {
      const wish = wishOf(key, options);
      for (;;) {
        options.signal?.throwIfAborted();
        const flight = flights.get(wish);
        if (flight === undefined) return take(key, options, wish);
        const bytes = await join(flight, options);
        if (bytes !== undefined) return bytes;
      }
    },
    has: (keys, options) => backend.has(keys, options),
    stat: (key, options) => backend.stat(key, options),
    put: (key, bytes, options) => backend.put(key, bytes, options),
    flush: (options) => backend.flush(options),
    remove: (key, options) => backend.remove(key, options),
    ...(removeMany && { removeMany: (keys, options) => removeMany.call(backend, keys, options) }),
    list: (prefix, options) => backend.list(prefix, options),
    close: () => backend.close(),
  };
}

function wishOf(key: ObjectKey, { range, maxSize }: GetObjectOptions): string {
  return `${key} ${range?.offset ?? ''} ${range?.length ?? ''} ${maxSize ?? ''}`;
}

/** @returns a copy for this caller; undefined if the request ended with the one who made it */
function join(flight: Flight, { into, signal }: GetObjectOptions): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      flight.joined.splice(flight.joined.indexOf(receive), 1);
      reject(signal?.reason);
    };
    const receive = (bytes: Uint8Array): void => {
      signal?.removeEventListener('abort', stop);
      resolve(copied(bytes, into));
    };
    flight.joined.push(receive);
    signal?.addEventListener('abort', stop);
    flight.landed.catch((error: unknown) => {
      signal?.removeEventListener('abort', stop);
      if (flight.signal?.aborted) resolve(undefined);
      else reject(error);
    });
  });
}
