/** Byte sinks on this machine: a file that appears when it is complete, and an open descriptor. */
import { writeSync } from 'node:fs';
import { openDurableFile } from '../../store/backends/durable-write.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import type { ByteSink } from './byte-sink.ts';

const BUFFER_LENGTH = 1024 * 1024;

/** Collects small pieces, so that an archive of small files is not written record by record. */
function buffered(flushTo: (bytes: Uint8Array) => void): {
  add(bytes: Uint8Array): void;
  flush(): void;
} {
  const buffer = new Uint8Array(BUFFER_LENGTH);
  let length = 0;
  const flush = (): void => {
    if (length > 0) flushTo(buffer.subarray(0, length));
    length = 0;
  };
  return {
    flush,
    add(bytes) {
      if (bytes.length > BUFFER_LENGTH - length) flush();
      if (bytes.length >= BUFFER_LENGTH) return flushTo(bytes);
      buffer.set(bytes, length);
      length += bytes.length;
    },
  };
}

function writeFully(descriptor: number, bytes: Uint8Array, label: string): void {
  try {
    for (let offset = 0; offset < bytes.length; ) {
      offset += writeSync(descriptor, bytes, offset);
    }
  } catch (error) {
    throw systemFailure('write', error, label);
  }
}

/**
 * The file at `path`, replaced when complete and durable; an older file stays until then.
 * @param options.mode permission bits, reduced by the umask
 */
export async function openFileSink(
  path: string,
  options: { readonly mode: number },
): Promise<ByteSink> {
  const file = openDurableFile(path, options);
  const buffer = buffered((bytes) => writeFully(file.descriptor, bytes, path));
  return {
    write: (bytes) => buffer.add(bytes),
    async commit() {
      buffer.flush();
      await file.commit({ sync: true });
    },
    discard: async () => file.discard(),
  };
}

/** Standard output or another open descriptor; what was written cannot be taken back. */
export function openStreamSink(descriptor: number): ByteSink {
  const buffer = buffered((bytes) => writeFully(descriptor, bytes, 'standard output'));
  return {
    write: (bytes) => buffer.add(bytes),
    commit: async () => buffer.flush(),
    discard: async () => {},
  };
}
