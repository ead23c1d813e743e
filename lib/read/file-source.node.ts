/** Byte sources on this machine: an open file, bytes in memory, and a stream. */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { PipelineError } from '../errors.ts';
import { systemFailure } from '../os/system-error.node.ts';
import type { ByteSource } from './byte-source.ts';

const BUFFER_LENGTH = 1024 * 1024;

/** An open file or block device; closes `descriptor` in the end. */
export function openFileSource(descriptor: number, label: string): ByteSource {
  const buffer = new Uint8Array(BUFFER_LENGTH);
  const stats = fstatSync(descriptor);
  return {
    label,
    seekable: true,
    ...(stats.isFile() ? { size: stats.size } : {}),
    async read(offset, end = offset + buffer.length) {
      const length = end > offset ? Math.min(end - offset, buffer.length) : buffer.length;
      try {
        return buffer.subarray(0, readSync(descriptor, buffer, 0, length, offset));
      } catch (error) {
        throw systemFailure('read', error, label);
      }
    },
    close: async () => closeSync(descriptor),
  };
}

/** Bytes in memory, which must not change. */
export function openBytesSource(bytes: Uint8Array, label: string): ByteSource {
  return {
    label,
    seekable: true,
    size: bytes.length,
    read: async (offset) => bytes.subarray(offset, offset + BUFFER_LENGTH),
    close: async () => {},
  };
}

/** A stream of bytes that can only be read once, front to back. */
export function openStreamSource(pieces: AsyncIterable<Uint8Array>, label: string): ByteSource {
  const iterator = pieces[Symbol.asyncIterator]();
  let current: Uint8Array = new Uint8Array(0);
  let start = 0;
  return {
    label,
    seekable: false,
    async read(offset) {
      if (offset < start) {
        throw new PipelineError('UNSUPPORTED', {
          subject: label,
          step: 'read',
          reason: 'the input is a pipe and cannot be read again',
        });
      }
      while (offset >= start + current.length) {
        const next = await iterator.next();
        if (next.done) return new Uint8Array(0);
        start += current.length;
        current = next.value;
      }
      return current.subarray(offset - start);
    },
    async close() {
      await iterator.return?.();
    },
  };
}
