/** Facts about the machine that a result was measured on, and about its file systems. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { resolve } from 'node:path';
import type { Meter } from './measure.ts';
import type { Machine } from './result.ts';

const IN_MEMORY = '/dev/shm';
/** What the programs themselves need beside the data. */
const PROGRAM_BYTES = 2 * 1024 ** 3;

export function describeMachine(folder: string, meter: Meter): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: allowedProcessors().length,
    memoryBytes: totalmem(),
    kernel: release(),
    node: process.version,
    fileSystem: fileSystemOf(folder),
    meter: meter === 'time' ? 'GNU time' : 'times of the shell, /proc',
    revision: revision(),
    date: new Date().toISOString().slice(0, 10),
    loadBefore: loadavg()[0] ?? 0,
  };
}

/** Type of the file system that a path is on, as the kernel calls it. */
export function fileSystemOf(path: string): string {
  const absolute = resolve(path);
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .map(([, point = '', type = '']) => ({ point: point.replaceAll('\\040', ' '), type }))
    .filter(({ point }) => point === '/' || absolute === point || absolute.startsWith(`${point}/`));
  // Of mounts at one place the last is on top.
  return mounts.reduce((best, mount) => (mount.point.length >= best.point.length ? mount : best), {
    point: '',
    type: 'unknown',
  }).type;
}

/** The folder for data where none is given: in memory if there is room, else on the disk. */
export function chooseFolder(neededBytes: number): string {
  if (!existsSync(IN_MEMORY) || fileSystemOf(IN_MEMORY) !== 'tmpfs') return tmpdir();
  const { bavail, bsize } = statfsSync(IN_MEMORY);
  const free = /^MemAvailable:\s*(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'ascii'))?.[1];
  const room = Math.min(bavail * bsize, Number(free ?? 0) * 1024 - PROGRAM_BYTES);
  return room >= neededBytes ? IN_MEMORY : tmpdir();
}

/** Numbers of the processors that this process may use. */
export function allowedProcessors(): readonly number[] {
  const status = readFileSync('/proc/self/status', 'ascii');
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

function revision(): string {
  try {
    const words = ['describe', '--always', '--dirty', '--abbrev=10'];
    const options = { cwd: import.meta.dirname, encoding: 'utf8', stdio: 'pipe' } as const;
    return execFileSync('git', words, options).trim();
  } catch {
    return 'unknown';
  }
}
