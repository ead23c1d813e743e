/**
 * Which process this is, in words that other processes can check, and whether another one still lives.
 * Used for leases (spec/formats/leases.md).
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname, uptime } from 'node:os';
import { errnoOf } from './system-error.node.ts';

export interface ProcessIdentity {
  readonly host: string;
  readonly processId: number;
  /** When it began, in ticks since the machine was started. */
  readonly processStart: string;
  /** The run of the kernel and the namespace in which process ids mean the same; empty if unknown. */
  readonly machine: string;
  /** The run of the kernel and the namespace in which paths mean the same; empty if unknown. */
  readonly fileSystem: string;
}

/** Of the times in /proc. */
const TICK_MS = 10;
/** Between the begin of a process and that of its program. */
const LONGEST_START_MS = 10_000;
/** Fields of /proc/PID/stat behind the name in parentheses: the state, and the time of begin. */
const STATE = 0;
const START = 19;
const DEAD_STATES = new Set(['Z', 'X', 'x']);

let own: ProcessIdentity | undefined;

/** This process. */
export function processIdentity(): ProcessIdentity {
  own ??= {
    host: hostname(),
    processId: process.pid,
    processStart: statFields(process.pid)?.[START] ?? '',
    machine: inKernelRun('pid'),
    fileSystem: inKernelRun('mnt'),
  };
  return own;
}

/** Whether a process lives; undefined if it cannot be seen from here. */
export function isProcessAlive(identity: ProcessIdentity): boolean | undefined {
  const { machine } = processIdentity();
  if (machine === '' || identity.machine !== machine) return undefined;
  try {
    process.kill(identity.processId, 0);
  } catch (error) {
    if (errnoOf(error) === 'ESRCH') return false;
  }
  const fields = statFields(identity.processId);
  // It is there, but what it is may be hidden from us.
  if (fields === undefined) return true;
  return fields[START] === identity.processStart && !DEAD_STATES.has(fields[STATE]);
}

/**
 * When this process began, or up to a tick earlier: before its arguments were read, and hardly before
 * they were made. Where the clocks do not tell, when its program began.
 */
export function processStartedAt(): Date {
  const started = Number(processIdentity().processStart) * TICK_MS;
  // The first is exact, but stands still while the machine sleeps.
  for (const sinceBoot of [Number(process.hrtime.bigint() / 1_000_000n), uptime() * 1000]) {
    const time = Date.now() - (sinceBoot - started);
    const earlierMs = performance.timeOrigin - time;
    if (earlierMs >= 0 && earlierMs < LONGEST_START_MS) return new Date(time);
  }
  return new Date(performance.timeOrigin);
}

function statFields(processId: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${processId}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function inKernelRun(namespace: string): string {
  try {
    const run = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${run} ${readlinkSync(`/proc/self/ns/${namespace}`)}`;
  } catch {
    return '';
  }
}
