/** `casync mount` in processes of its own, for tests. Nothing of them is left after the test. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { mountAt } from '../../lib/os/mount-table.node.ts';
import type { Requirements } from './requirements.ts';
import { CASYNC } from './run-casync.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const MOUNT_NEEDS: Requirements = {
  root: true,
  commands: ['fusermount3', 'umount', 'setpriv'],
  conditions: { '/dev/fuse': existsSync('/dev/fuse') },
};

export interface StartMountOptions {
  /** By default a new one in a folder of its own. */
  readonly mountPoint?: string;
  readonly program?: 'ours' | 'reference';
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Words put in front of the command. */
  readonly wrapper?: readonly string[];
  /** Descriptors or words as of `spawn`. */
  readonly stdin?: number | 'ignore';
  readonly stdout?: number | 'pipe';
}

export interface MountEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Since the signal that was sent. */
  readonly tookMs: number;
}

export interface MountProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** The process that unmounts when ours cannot; the original has none. */
  readonly guard: number | undefined;
  readonly mountPoint: string;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Without sending anything. */
  readonly end: () => Promise<MountEnd>;
  readonly stop: (signal?: NodeJS.Signals) => Promise<MountEnd>;
}

/** Whether something is mounted at a path: 1 for a mount, also a dead one, or several; else 0. */
export function mountsAt(path: string): 0 | 1 {
  return mountAt(Buffer.from(path).toString('latin1')) === undefined ? 0 : 1;
}

/** The process that watches over the mount of another one. */
function guardOf(pid: number): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'ascii').split(' ');
  return children
    .filter(Boolean)
    .map(Number)
    .find((child) => {
      try {
        return readFileSync(`/proc/${child}/cmdline`, 'latin1').includes('casync-mount-guard');
      } catch {
        return false;
      }
    });
}

const START_MS = 30_000;

/** Asks again until it is so. @throws Error after a time */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + START_MS; !isSo(); await delay(5)) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
  }
}

/** @param words what stands before the mount point */
export async function startMount(
  t: ExecutionContext<unknown>,
  words: readonly string[],
  options: StartMountOptions = {},
): Promise<MountProcess> {
  const { program = 'ours', wrapper = [], mountPoint = join(temporaryFolder(t), 'm') } = options;
  const command = program === 'ours' ? [process.execPath, CASYNC] : ['casync'];
  const [file = '', ...rest] = [...wrapper, ...command, 'mount', ...words, mountPoint];
  if (program === 'reference') mkdirSync(mountPoint, { recursive: true });
  const child = spawn(file, rest, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C', NODE_OPTIONS: undefined, ...options.env },
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'pipe', 'pipe'],
  });
  t.teardown(() => {
    child.kill('SIGKILL');
    spawnSync('umount', ['-l', mountPoint], { stdio: 'ignore' });
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  let hasEnded = false;
  let started = performance.now();
  const ended = new Promise<MountEnd>((resolve) => {
    child.on('close', (status, signal) => {
      hasEnded = true;
      resolve({ status, signal, stdout, stderr, tookMs: performance.now() - started });
    });
  });
  const isMounted = (): boolean => {
    if (program === 'ours' && options.stdout === undefined) return stdout.endsWith('\n');
    return existsSync(mountPoint) && mountsAt(realpathSync(mountPoint)) > 0;
  };
  await until(() => hasEnded || isMounted(), `${words.join(' ')} is mounted`);
  if (hasEnded) throw new Error(`mount has ended: ${stderr}`);
  const { pid = 0 } = child;
  return {
    pid,
    child,
    guard: wrapper.length === 0 || wrapper[0] === 'setpriv' ? guardOf(pid) : undefined,
    mountPoint,
    stdout: () => stdout,
    stderr: () => stderr,
    end: () => ended,
    stop(signal = 'SIGTERM') {
      started = performance.now();
      child.kill(signal);
      return ended;
    },
  };
}

/** Runs a program that ends in time, even if a mount does not answer. @returns its standard output */
export async function readWith(
  file: string,
  words: readonly string[],
  options: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<string> {
  const { stdout } = await promisify(execFile)(file, words, {
    cwd: options.cwd,
    timeout: options.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
    encoding: 'latin1',
    maxBuffer: 2 ** 28,
  });
  return stdout;
}
