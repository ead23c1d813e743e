/**
 * Kills our command at chosen system calls, repeatably, with strace. Where tracing is not allowed,
 * at chosen moments instead, which is not repeatable but still finds what is wide open.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCommand } from '../helpers/requirements.ts';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';

/** Calls that can change what is on disk. */
const CHANGING_CALLS = [
  'openat',
  'write',
  'pwrite64',
  'writev',
  'pwritev',
  'rename',
  'renameat',
  'renameat2',
  'link',
  'linkat',
  'fsync',
  'fdatasync',
  'syncfs',
  'ftruncate',
  'fallocate',
  'copy_file_range',
  'unlink',
  'unlinkat',
  'mkdir',
  'mkdirat',
  'chmod',
  'fchmod',
  'fchmodat',
  'fchown',
  'fchownat',
  'utimensat',
  'symlinkat',
];

/** One thread for file system calls and no way around them, so that counting calls means something. */
const ONE_THREAD = { UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' };

export type KillPoint =
  /** Just before the `count`-th call of this name in one thread. */
  | { readonly kind: 'call'; readonly name: string; readonly count: number }
  | { readonly kind: 'moment'; readonly afterMs: number };

export function describePoint(point: KillPoint): string {
  return point.kind === 'call' ? `${point.name} number ${point.count}` : `${point.afterMs} ms`;
}

/** Whether this machine allows tracing. */
export function canTrace(): boolean {
  if (findCommand('strace') === undefined) return false;
  const trial = spawnSync('strace', ['-f', '-o', '/dev/null', '-e', 'trace=openat', 'true']);
  return trial.status === 0;
}

/**
 * Runs the command undisturbed and lists the points at which it can be killed, in order.
 * @param folder only calls that concern something below this folder are points
 */
export async function findKillPoints(
  args: readonly string[],
  folder: string,
): Promise<readonly KillPoint[]> {
  return canTrace() ? traceKillPoints(args, folder) : momentsOf(args);
}

async function traceKillPoints(
  args: readonly string[],
  folder: string,
): Promise<readonly KillPoint[]> {
  const logFolder = makeTemporaryFolder();
  try {
    const log = join(logFolder, 'log');
    const options = ['-f', '-y', '-o', log, '-e', `trace=${CHANGING_CALLS.join(',')}`];
    const wrapper = ['strace', ...options];
    await succeed(runCasync(args, { wrapper, env: ONE_THREAD }));
    return pointsOfLog(readFileSync(log, 'latin1'), folder);
  } finally {
    removeTree(logFolder);
  }
}

/** Points in a log of `strace -f -y`. Calls that only read are none. */
export function pointsOfLog(log: string, folder: string): readonly KillPoint[] {
  const counts = new Map<string, number>();
  const points = new Map<string, KillPoint>();
  for (const line of log.split('\n')) {
    const match = /^(\d+) +(\w+)\((.*)/.exec(line);
    if (match === null) continue;
    const [, thread, name, rest] = match;
    const count = (counts.get(`${thread} ${name}`) ?? 0) + 1;
    counts.set(`${thread} ${name}`, count);
    const isReading = name === 'openat' && !/O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE/.test(rest);
    if (!rest.includes(folder) || isReading) continue;
    points.set(`${name} ${count}`, { kind: 'call', name, count });
  }
  return [...points.values()];
}

async function momentsOf(args: readonly string[]): Promise<readonly KillPoint[]> {
  const startedMs = Date.now();
  await succeed(runCasync(args));
  const durationMs = Date.now() - startedMs;
  return Array.from({ length: 100 }, (_, i) => ({
    kind: 'moment',
    afterMs: Math.max(1, Math.round((durationMs * (i + 1)) / 100)),
  }));
}

/** Runs the command and kills it at the point. @returns whether it got that far */
export async function runUntilKilled(args: readonly string[], point: KillPoint): Promise<boolean> {
  if (point.kind === 'moment') {
    const result = await runCasync(args, { timeoutMs: point.afterMs });
    return result.signal === 'SIGKILL';
  }
  const inject = `inject=${point.name}:signal=KILL:when=${point.count}`;
  const trace = ['-e', `trace=${point.name}`, '-e', inject];
  // Without --seccomp-bpf: with it, strace 6.1 does not count the calls of other threads.
  const wrapper = ['strace', '-f', '-qq', '-o', '/dev/null', ...trace];
  const result = await runCasync(args, { wrapper, env: ONE_THREAD });
  return result.signal === 'SIGKILL';
}

/** `count` of the points, evenly spread, with the first and the last. */
export function spread<Item>(points: readonly Item[], count: number): readonly Item[] {
  if (points.length <= count) return points;
  const step = (points.length - 1) / (count - 1);
  return Array.from({ length: count }, (_, i) => points[Math.round(i * step)]);
}

/** Makes sure that the bundle exists, so that building it is not among the calls. */
export function warmUp(): void {
  spawnSync(process.execPath, [CASYNC, '--version']);
}
