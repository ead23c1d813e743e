/** Reading and writing the bytes of open files, with many requests under way. */
import type { SftpCalls } from './sftp-calls.ts';
import type { Destination } from './sftp-reader.ts';

/** As much as ssh's own window lets through, twice. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const MOST_REQUESTS = 64;

/** How many requests of this length are under way for one file, at most. */
export function windowSize(length: number): number {
  return Math.max(2, Math.min(MOST_REQUESTS, Math.floor(WINDOW_BYTES / length)));
}

export interface OpenPart {
  readonly path: string;
  readonly handle: string;
  /** Where the part begins in the file. */
  readonly offset: number;
  /** Memory for exactly the part. After the function has ended, nothing is written there. */
  readonly bytes: Uint8Array;
  /** Whether the file should end behind the part. */
  readonly isLast: boolean;
}

/**
 * Reads a part of an open file.
 * @returns false if the file ends before the part does, or does not end behind it as it should
 * @throws StorageError
 */
export async function readPart(
  calls: SftpCalls,
  part: OpenPart,
  signal?: AbortSignal,
): Promise<boolean> {
  const { bytes, isLast } = part;
  const blockLength = calls.session.limits.readLength;
  const underWay = new Set<Destination>();
  let next = 0;
  let isWhole = true;

  function stop(): void {
    next = bytes.length;
    for (const destination of underWay) destination.target = undefined;
  }

  async function readBlock(start: number, end: number): Promise<boolean> {
    for (let done = start; done < end && !signal?.aborted; ) {
      const canProbe = isLast && end === bytes.length && end - done < blockLength;
      const asked = end - done + (canProbe ? 1 : 0);
      const destination: Destination = { target: bytes.subarray(done, end), asked };
      underWay.add(destination);
      const count = await calls.read(part.path, part.handle, part.offset + done, destination);
      underWay.delete(destination);
      if (count === 0 || count > end - done) return false;
      done += count;
    }
    return true;
  }

  async function readBlocks(): Promise<void> {
    while (next < bytes.length) {
      const start = next;
      next = Math.min(bytes.length, start + blockLength);
      if (!(await readBlock(start, next))) {
        isWhole = false;
        stop();
      }
    }
  }

  signal?.addEventListener('abort', stop, { once: true });
  const count = Math.min(windowSize(blockLength), Math.ceil(bytes.length / blockLength));
  try {
    await Promise.all(Array.from({ length: count }, readBlocks));
    return isWhole;
  } catch (error) {
    stop();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/**
 * Writes all bytes of a new file, makes them durable and closes it, in one go.
 * @throws StorageError
 */
export async function writeWhole(
  calls: SftpCalls,
  path: string,
  handle: string,
  bytes: Uint8Array,
): Promise<void> {
  const steps: Promise<void>[] = [];
  const { writeLength } = calls.session.limits;
  for (let offset = 0; offset < bytes.length; offset += writeLength) {
    const end = Math.min(bytes.length, offset + writeLength);
    steps.push(calls.write(path, handle, offset, bytes.subarray(offset, end)));
  }
  // The server takes requests for one file in their order.
  steps.push(calls.sync(path, handle), calls.closeHandle(path, handle));
  await allDone(steps);
}

/** Waits for all of them. @throws the first failure, in their order */
export async function allDone(steps: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(steps)) {
    if (result.status === 'rejected') throw result.reason;
  }
}
