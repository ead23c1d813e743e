/**
 * Descriptors that reports go to, for `--progress=json:FD` and `--stats=json:FD`: whether there is such
 * a one, and lines of JSON on it.
 */
import { fstatSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { CasError } from '../formats/errors.ts';
import { systemFailure } from '../lib/os/system-error.node.ts';
import type { ProgressEvent, ProgressSink } from '../lib/progress.ts';
import { writeAll } from './output.ts';

/** At most ten lines a second. */
const INTERVAL_MS = 100;
const ACCESS_MODE = 0o3;
const READ_ONLY = 0;
const LARGEST_OWN = 2;

/** What a descriptor of this process is: for example `pipe:[1234]`, or a path. */
function targetOf(descriptor: number | string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return undefined;
  }
}

function isReadOnly(descriptor: number | string): boolean {
  try {
    const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'ascii');
    const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '2';
    return (Number.parseInt(flags, 8) & ACCESS_MODE) === READ_ONLY;
  } catch {
    return false;
  }
}

/**
 * True for what Node has opened for itself and a caller cannot have meant: queues of the kernel, and
 * pipes whose reading end is in this process, too.
 */
function isInternal(descriptor: number): boolean {
  const target = targetOf(descriptor);
  if (descriptor <= LARGEST_OWN || target === undefined) return false;
  if (target.startsWith('anon_inode:')) return true;
  if (!target.startsWith('pipe:')) return false;
  return readdirSync('/proc/self/fd').some(
    (other) => targetOf(other) === target && isReadOnly(other),
  );
}

/**
 * Checks, before any work, that a report can be written.
 * @param option name without hyphens, for the message
 * @throws CasError `USAGE`
 */
export function checkReportDescriptor(option: string, descriptor: number): void {
  const refuse = (reason: string): CasError =>
    new CasError('USAGE', { subject: `--${option}=json:${descriptor}`, reason });
  try {
    fstatSync(descriptor);
  } catch (error) {
    throw refuse(systemFailure('', error, '').reason);
  }
  if (isReadOnly(descriptor)) throw refuse('Not open for writing');
  if (isInternal(descriptor)) throw refuse('Bad file descriptor');
}

/** @throws PipelineError */
export function writeJsonLine(descriptor: number, value: object): void {
  writeAll(descriptor, Buffer.from(`${JSON.stringify(value)}\n`));
}

export interface ProgressReport {
  readonly sink: ProgressSink;
  /** Writes what was reported last, unless that has been written. */
  readonly close: () => void;
}

/**
 * Progress as lines of JSON. What cannot be written is dropped: the work does not wait for a reader
 * that is slow, and goes on without one.
 * @param now milliseconds from any beginning
 */
export function openProgressReport(descriptor: number, now: () => number): ProgressReport {
  let pending: ProgressEvent | undefined;
  let writtenAtMs = Number.NEGATIVE_INFINITY;
  const write = (): void => {
    if (pending === undefined) return;
    const line = Buffer.from(`${JSON.stringify({ event: 'progress', ...pending })}\n`);
    pending = undefined;
    writtenAtMs = now();
    try {
      const written = writeSync(descriptor, line);
      if (written < line.length) writeAll(descriptor, line.subarray(written));
    } catch {
      return;
    }
  };
  return {
    sink(event) {
      pending = event;
      if (now() - writtenAtMs >= INTERVAL_MS) write();
    },
    close: write,
  };
}
