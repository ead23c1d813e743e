/**
 * Writing to standard output and standard error: synchronous, buffered, and honest about failure.
 * Node's own streams report a full disk or a closed pipe too late or not at all.
 */
import { writeSync } from 'node:fs';
import { PipelineError } from '../lib/errors.ts';
import { systemFailure } from '../lib/os/system-error.node.ts';

const BUFFER_LENGTH = 65536;
const RETRY_AFTER_MS = 2;

/** The reader of our output has gone; that ends the run without a message. */
function readerGone(): PipelineError {
  return new PipelineError('READER_GONE', { subject: 'standard output', reason: 'Broken pipe' });
}

/** Somewhere results go. Text is buffered until `flush`. */
export interface Output {
  write(text: string | Uint8Array): void;
  /** @throws PipelineError */
  flush(): void;
}

/** Writes everything, waiting where a pipe that is shared with others refuses for now. */
export function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) {
    try {
      offset += writeSync(descriptor, bytes, offset);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EPIPE' || code === 'ECONNRESET') throw readerGone();
      if (code !== 'EAGAIN') throw systemFailure('write', error, 'standard output');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_AFTER_MS);
    }
  }
}

/**
 * An output on an open descriptor.
 * @param beforeWriting called whenever something is going to be written
 */
export function openOutput(descriptor: number, beforeWriting: () => void): Output {
  let parts: Uint8Array[] = [];
  let length = 0;
  const flush = (): void => {
    const pending = Buffer.concat(parts);
    parts = [];
    length = 0;
    if (pending.length === 0) return;
    beforeWriting();
    writeAll(descriptor, pending);
  };
  return {
    flush,
    write(text) {
      const bytes = typeof text === 'string' ? Buffer.from(text) : Buffer.from(text);
      parts.push(bytes);
      length += bytes.length;
      if (length >= BUFFER_LENGTH) flush();
    },
  };
}
