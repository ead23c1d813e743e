/**
 * A castr store over any ObjectBackend (spec/formats/castr.md): its names (castr-objects.ts) and what
 * is in them (transcoder.ts). Used wherever chunks are read or written.
 */
import type { ObjectBackend } from './backend.ts';
import { openCastrObjects } from './castr-objects.ts';
import type { ManagedChunkStore } from './chunk-store.ts';
import { openTranscodedStore } from './transcoded-store.ts';
import { createTranscoder, type TranscoderOptions } from './transcoder.ts';

export interface CastrStoreOptions extends TranscoderOptions {
  /** Of compressed chunks; `.cacnk` if left out. */
  readonly suffix?: string;
}

/**
 * Opens the chunks in `backend`, which belongs to the store from now on.
 * @throws CasError `USAGE` if `options.suffix` cannot be part of a name
 */
export function openCastrStore(
  backend: ObjectBackend,
  options: CastrStoreOptions,
): ManagedChunkStore {
  const { suffix, maxChunkSize } = options;
  const objects = openCastrObjects(backend, suffix);
  const store = openTranscodedStore(objects, {
    transcoder: createTranscoder(options),
    ...(maxChunkSize !== undefined && { maxChunkSize }),
  });
  return {
    label: store.label,
    has: (id, options) => store.has(id, options),
    get: (id, options) => store.get(id, options),
    put: (id, plain, options) => store.put(id, plain, options),
    flush: (options) => store.flush(options),
    list: (options) => objects.list(options),
    remove: (id, options) => objects.remove(id, options),
    close: () => store.close(),
  };
}
