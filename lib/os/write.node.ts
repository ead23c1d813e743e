/** Writing all of a buffer, however often the system takes only a part. */
import { write, writeSync } from 'node:fs';
import { PipelineError } from '../errors.ts';
import { systemFailure } from './system-error.node.ts';

/**
 * Writes all of `bytes` to `offset` of a file, at once.
 * @throws the error of node:fs, which the caller translates
 */
export function writeFullySync(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}

/**
 * Writes all of `bytes` off the main thread, also to pipes, however often the system takes only a part.
 * @param position offset in the file, or null for the current position of a stream.
 * @throws PipelineError without subject; `READER_GONE` of a pipe or socket
 */
export async function writeFully(
  fd: number,
  bytes: Uint8Array,
  position: number | null,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const at = position === null ? null : position + done;
    done += await writeSome(fd, bytes.subarray(done), at);
  }
}

/** How long to wait for the reader of a full pipe that does not block. */
const RETRY_MS = 2;

function writeSome(fd: number, bytes: Uint8Array, position: number | null): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, position, (error, count) => {
      if (error === null) resolve(count);
      else if (error.code === 'EAGAIN') setTimeout(resolve, RETRY_MS, 0);
      else reject(writeFailure(error));
    });
  });
}

function writeFailure(error: NodeJS.ErrnoException): PipelineError {
  const failure = systemFailure('write', error);
  if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') return failure;
  return new PipelineError('READER_GONE', { step: 'write', reason: failure.reason, cause: error });
}
