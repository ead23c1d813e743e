/** Block exports for tests: in memory, and with everything that can go wrong. */

import type { BlockExport } from '../../lib/serve/nbd/block-export.ts';
import { StorageError } from '../../store/errors.ts';

export interface MemoryExport extends BlockExport {
  readonly bytes: Buffer;
  /** Calls of the writer, in words. */
  readonly calls: string[];
  /** Bytes that were given out and not released. */
  held(): number;
  /** What reads wait for, by offset; a rejection fails them. */
  gate: (offset: number) => Promise<void> | undefined;
}

/** @param zeros stretches `[start, end]` that are known to be zeros */
export function memoryExport(
  bytes: Buffer,
  zeros: readonly (readonly [number, number])[] = [],
): MemoryExport {
  let held = 0;
  const calls: string[] = [];
  const give = (offset: number, length: number) => {
    const size = Math.max(0, Math.min(length, bytes.length - offset));
    // In two pieces, as readers may do.
    const middle = offset + (size >> 1);
    held += size;
    return {
      pieces: [bytes.subarray(offset, middle), bytes.subarray(middle, offset + size)],
      length: size,
      release() {
        held -= size;
      },
    };
  };
  const result: MemoryExport = {
    bytes,
    calls,
    label: 'memory',
    size: bytes.length,
    held: () => held,
    gate: () => undefined,
    read({ offset, length }, { signal } = {}) {
      const gate = result.gate(offset);
      if (gate === undefined) return give(offset, length);
      const stopped = new Promise<never>((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason));
      });
      return Promise.race([gate, stopped]).then(() => give(offset, length));
    },
    extentAt(offset) {
      const zero = zeros.find(([start, end]) => start <= offset && offset < end);
      if (zero !== undefined) return { end: zero[1], isZero: true };
      const next = zeros.map(([start]) => start).filter((start) => start > offset);
      return { end: Math.min(bytes.length, ...next), isZero: false };
    },
    close: async () => {},
  };
  return result;
}

/** The same with a writer that notes its calls. */
export function writableExport(bytes: Buffer): MemoryExport {
  const base = memoryExport(bytes);
  return Object.assign(base, {
    writer: {
      async write(offset: number, data: Uint8Array) {
        base.calls.push(`write ${offset} ${data.length}`);
        await undefined;
        bytes.set(data, offset);
      },
      async zero({ offset, length }: { offset: number; length: number }, { keep = false } = {}) {
        base.calls.push(`zero ${offset} ${length}${keep ? ' keep' : ''}`);
        bytes.fill(0, offset, offset + length);
      },
      async flush() {
        base.calls.push('flush');
      },
    },
  });
}

export function failure(reason = 'broken'): StorageError {
  return new StorageError('IO', { subject: 'disk', step: 'read', reason });
}

/** The same bytes each time, none of them 0. */
export function patternBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = 1 | (state >>> 24);
  }
  return bytes;
}
