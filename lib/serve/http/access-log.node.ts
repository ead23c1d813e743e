/** The file of the access log: lines are collected and written now and then, never waited for. */
import { closeSync, openSync } from 'node:fs';
import { writeFully } from '../../../store/backends/durable-write.node.ts';
import { toStorageError } from '../../../store/system-error.node.ts';

export interface AccessLog {
  write(line: string): void;
  /** Opens the file anew, after it was renamed. @throws StorageError; then the old one goes on */
  reopen(): void;
  close(): void;
  /** Lines that could not be written. */
  readonly lostCount: number;
}

const STANDARD_OUTPUT = '-';
const STDOUT = 1;
const FLUSH_LENGTH = 64 * 1024;
const FLUSH_INTERVAL_MS = 1000;
const LOG_MODE = 0o640;

/** @param path `-` is standard output @throws StorageError */
export function openAccessLog(path: string): AccessLog {
  let descriptor = openLog(path);
  let lines: string[] = [];
  let length = 0;
  let lostCount = 0;
  const flush = (): void => {
    if (lines.length === 0) return;
    try {
      writeFully(descriptor, Buffer.from(lines.join('')));
    } catch {
      // Requests are answered all the same; the metrics tell.
      lostCount += lines.length;
    }
    lines = [];
    length = 0;
  };
  const closeDescriptor = (): void => {
    if (path !== STANDARD_OUTPUT) closeSync(descriptor);
  };
  const timer = setInterval(flush, FLUSH_INTERVAL_MS);
  timer.unref();
  return {
    get lostCount() {
      return lostCount;
    },
    write(line) {
      lines.push(line);
      length += line.length;
      if (length >= FLUSH_LENGTH) flush();
    },
    reopen() {
      flush();
      const next = openLog(path);
      closeDescriptor();
      descriptor = next;
    },
    close() {
      clearInterval(timer);
      flush();
      closeDescriptor();
    },
  };
}

function openLog(path: string): number {
  if (path === STANDARD_OUTPUT) return STDOUT;
  try {
    return openSync(path, 'a', LOG_MODE);
  } catch (error) {
    throw toStorageError(error, path, 'open');
  }
}
