/**
 * Processes that give something away until they are ended: mounts and block devices of the network.
 * Started before a reading, asked what they have used, ended after it, and nothing stays mounted.
 * Used by turns.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { findInPath } from './contestants.ts';
import {
  type Command,
  describeCommand,
  killGroup,
  type MeasureOptions,
  measure,
  peakMemoryOf,
} from './measure.ts';
import type { Service, ServiceKind } from './peers.ts';
import type { Usage } from './result.ts';

/** A process that is ready. */
export interface Serving {
  /** What it has used so far: its largest memory, and its processor time. */
  usage(): Omit<Usage, 'wallSeconds'>;
  /** @throws Error if it did not end well by a signal, or left its mount; that is gone then, too */
  stop(): Promise<void>;
}

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 5;
const MESSAGE_CHARACTERS = 600;
/** Clock ticks a second in /proc, on every machine that Node runs on. */
const TICKS = 100;

/** What the service needs and this machine lacks, in words; undefined if nothing. */
export function lackedBy(kind: ServiceKind): string | undefined {
  const programs = kind === 'nbd' ? ['nbdinfo', 'nbdcopy'] : ['dd', 'cmp', 'find', 'umount'];
  const missing = programs.find((name) => findInPath(name) === undefined);
  if (missing !== undefined || kind === 'nbd') return missing;
  if (!existsSync('/dev/fuse')) return '/dev/fuse';
  const mayMount = process.geteuid?.() === 0 || findInPath('fusermount3') !== undefined;
  return mayMount ? undefined : 'root or fusermount3';
}

/** How clients name it. */
export function locatorOf({ kind, path }: Service): string {
  return kind === 'mount' ? path : `nbd+unix:///?socket=${path}`;
}

/**
 * Starts the process, and waits until it answers.
 * @throws Error with its own words if it does not; then it is gone
 */
export async function startServing(
  command: Command,
  service: Service,
  options: MeasureOptions,
): Promise<Serving> {
  // It must not outlive this process, however that ends.
  const guard = findInPath('setpriv');
  const words = guard === undefined ? [] : [guard, '--pdeathsig', 'TERM', '--'];
  const [file = '', ...rest] = [...words, ...command.words];
  const stdio = ['ignore', 'ignore', 'pipe'] as const;
  const child = spawn(file, rest, { ...command, stdio: [...stdio], detached: true });
  let message = '';
  child.stderr?.on('data', (piece: Buffer) => {
    message = (message + piece.toString('utf8')).slice(-MESSAGE_CHARACTERS);
  });
  const failure = (what: string): Error =>
    new Error(
      `${describeCommand(command)}: ${what}: ${message.trim().replace(/\s*\n\s*/g, ' | ')}`,
    );
  // What it has started must not outlive it, nor keep its output open.
  child.on('exit', () => killGroup(child));
  const ended = new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (status, signal) =>
      resolve(status === 0 ? undefined : `-> ${signal ?? status}`),
    );
  });
  const stop = async (): Promise<void> => {
    const end = await endOf(child, ended);
    const isLeft = service.kind === 'mount' && (await unmountLeft(service.path));
    if (end !== undefined) throw failure(end);
    if (isLeft) throw failure('left its mount');
  };
  try {
    await untilReady(child, service, options);
  } catch (error) {
    const reason = await stop().then(
      () => failure(`did not get ready: ${error}`),
      (problem: unknown) => problem,
    );
    options.signal.throwIfAborted();
    throw reason;
  }
  const { pid } = child;
  if (pid === undefined) throw failure('has no process');
  return { usage: () => usageOf(pid), stop };
}

async function untilReady(
  child: ChildProcess,
  { kind, path }: Service,
  options: MeasureOptions,
): Promise<void> {
  const isThere = (): boolean => (kind === 'mount' ? isMounted(path) : existsSync(path));
  const end = performance.now() + READY_TIMEOUT_MS;
  while (!isThere()) {
    options.signal.throwIfAborted();
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('it has ended');
    if (performance.now() > end) throw new Error('it takes too long');
    await pause(POLL_MS);
  }
  const words =
    kind === 'mount' ? ['stat', path] : ['nbdinfo', '--size', locatorOf({ kind, path })];
  await measure({ words }, { ...options, timeoutMs: READY_TIMEOUT_MS });
}

/** @returns what was wrong with the end, in words */
async function endOf(
  child: ChildProcess,
  ended: Promise<string | undefined>,
): Promise<string | undefined> {
  child.kill('SIGTERM');
  const timer = new AbortController();
  const late = pause(STOP_TIMEOUT_MS, 'does not end by SIGTERM', { signal: timer.signal });
  const end = await Promise.race([ended, late.catch(() => undefined)]);
  timer.abort();
  if (child.exitCode === null && child.signalCode === null) killGroup(child);
  await ended;
  // Whoever does not catch the signal ends by it.
  return end === '-> SIGTERM' ? undefined : end;
}

function isMounted(path: string): boolean {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return mounts.some((line) => line.split(' ')[4] === path);
}

/** @returns whether there was something */
async function unmountLeft(path: string): Promise<boolean> {
  if (!isMounted(path)) return false;
  const isRoot = process.geteuid?.() === 0;
  const words = isRoot ? ['umount', '-l', path] : ['fusermount3', '-u', '-z', path];
  const signal = new AbortController().signal;
  await measure({ words }, { meter: 'proc', scratch: `${path}.usage`, signal });
  return true;
}

function usageOf(pid: number): Omit<Usage, 'wallSeconds'> {
  // The name, in parentheses, can hold anything.
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
    .slice(11, 13);
  return {
    userSeconds: Number(user) / TICKS,
    systemSeconds: Number(system) / TICKS,
    peakMemoryBytes: peakMemoryOf(pid),
  };
}
