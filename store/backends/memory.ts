/** Objects in a map: the reference implementation of ObjectBackend, and a double for tests. */

import { LimitExceeded } from '../../formats/errors.ts';
import type { ObjectBackend, ObjectInfo, ObjectKey, ObjectRange } from '../backend.ts';
import { copied } from '../callers-memory.ts';
import { ObjectMissing } from '../errors.ts';
import { assertObjectKey } from '../object-key.ts';

export interface MemoryBackendOptions {
  /** For messages. */
  readonly label?: string;
  /** Makes objects visible only when flushed, as slow storage may do. */
  readonly holdBack?: boolean;
  readonly now?: () => Date;
}

interface StoredObject {
  readonly bytes: Uint8Array;
  readonly modified: Date;
}

export function createMemoryBackend(options: MemoryBackendOptions = {}): ObjectBackend {
  const { label = 'memory', holdBack = false, now = () => new Date() } = options;
  const visible = new Map<ObjectKey, StoredObject>();
  const accepted = new Map<ObjectKey, StoredObject>();

  function find(key: ObjectKey, signal: AbortSignal | undefined): StoredObject | undefined {
    signal?.throwIfAborted();
    assertObjectKey(key);
    return visible.get(key);
  }

  function describe({ bytes, modified }: StoredObject): ObjectInfo {
    return { size: bytes.length, modified };
  }

  return {
    label,
    can: { write: true, list: true, remove: true },

    async get(key, { signal, maxSize = Number.POSITIVE_INFINITY, range, into } = {}) {
      const found = find(key, signal);
      const subject = `${label}: ${key}`;
      if (found === undefined) throw new ObjectMissing({ subject, reason: 'No such object' });
      const bytes = part(found.bytes, range);
      if (bytes.length <= maxSize) return copied(bytes, into);
      throw new LimitExceeded({ subject, step: 'read', reason: `more than ${maxSize} bytes` });
    },

    async has(keys, { signal } = {}) {
      return keys.some((key) => find(key, signal) !== undefined || accepted.has(key));
    },

    async stat(key, { signal } = {}) {
      const found = find(key, signal);
      return found && describe(found);
    },

    async put(key, bytes, { signal, ifAbsent = false } = {}) {
      const found = find(key, signal) ?? accepted.get(key);
      if (ifAbsent && found !== undefined) return 'present';
      (holdBack ? accepted : visible).set(key, { bytes: bytes.slice(), modified: now() });
      return 'stored';
    },

    async flush({ signal } = {}) {
      signal?.throwIfAborted();
      for (const [key, object] of accepted) visible.set(key, object);
      accepted.clear();
    },

    async remove(key, { signal } = {}) {
      find(key, signal);
      visible.delete(key);
      accepted.delete(key);
    },

    async *list(prefix, { signal } = {}) {
      for (const [key, object] of [...visible]) {
        signal?.throwIfAborted();
        if (key.startsWith(prefix)) yield { key, ...describe(object) };
      }
    },

    async close() {
      accepted.clear();
    },
  };
}

function part(bytes: Uint8Array, range: ObjectRange | undefined): Uint8Array {
  return range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length);
}
