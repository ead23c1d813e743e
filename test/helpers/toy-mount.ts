/** The toy file system, mounted by a process of its own, and programs that use it. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import type { Requirements } from './requirements.ts';
import { temporaryFolder } from './temporary-folder.ts';
import type { ToyCounts } from './toy-file-system.ts';

const SCRIPT = join(import.meta.dirname, 'toy-mount.mjs');
const TIMEOUT_MS = 120_000;
const MOST_OUTPUT = 64 * 2 ** 20;

export interface RunResult {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface ToyMount {
  readonly folder: string;
  /** Messages of failures so far. */
  readonly failures: readonly string[];
  /** Runs a program in the folder; nothing of this process touches it. */
  run(file: string, ...words: readonly string[]): Promise<RunResult>;
  /** Starts one and resolves when the server has begun a read that never ends. */
  startWaiting(file: string, ...words: readonly string[]): Promise<ChildProcess>;
  counts(): Promise<ToyCounts>;
  stop(): void;
  /** Resolves to how the server ended. */
  readonly ended: Promise<{ readonly end: string } & ToyCounts>;
}

/** What a test needs to mount. */
export function fuseNeeds(...commands: readonly string[]): Requirements {
  return {
    root: true,
    commands,
    conditions: { 'the device /dev/fuse': existsSync('/dev/fuse') },
  };
}

/** It is unmounted after the test, whatever the test left. */
export async function startToyMount(
  t: Pick<ExecutionContext<unknown>, 'teardown'>,
): Promise<ToyMount> {
  const folder = temporaryFolder(t as ExecutionContext<unknown>);
  const server = spawn(process.execPath, [SCRIPT, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(server, 'exit');
  t.teardown(async () => {
    server.kill('SIGTERM');
    await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 10_000).unref())]);
    server.kill('SIGKILL');
    if (isMounted(folder)) execFileSync('umount', ['-l', folder]);
  });
  const failures: string[] = [];
  const waiting: ((line: string) => boolean)[] = [];
  createInterface({ input: server.stdout }).on('line', (line) => {
    if (line.startsWith('FAILURE ')) failures.push(line.slice(8));
    const index = waiting.findIndex((isTaken) => isTaken(line));
    if (index >= 0) waiting.splice(index, 1);
  });
  const next = (word: string): Promise<string> =>
    new Promise((resolve) => {
      waiting.push((line) => {
        const isIt = line.startsWith(word);
        if (isIt) resolve(line.slice(word.length));
        return isIt;
      });
    });
  const counts = async (): Promise<ToyCounts> => {
    const answer = next('COUNTS ');
    server.kill('SIGUSR1');
    return JSON.parse(await answer);
  };
  const ended = next('END ').then((text) => JSON.parse(text));
  await next('READY');
  return {
    folder,
    failures,
    ended,
    run: (file, ...words) => run(folder, file, words),
    async startWaiting(file, ...words) {
      const child = spawn(file, words, { cwd: folder, stdio: 'ignore' });
      while ((await counts()).endless === 0);
      return child;
    },
    counts,
    stop: () => server.kill('SIGTERM'),
  };
}

function isMounted(folder: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${folder} `);
}

function run(cwd: string, file: string, words: readonly string[]): Promise<RunResult> {
  return new Promise((resolve) => {
    const options = {
      ...{ cwd, timeout: TIMEOUT_MS, maxBuffer: MOST_OUTPUT, encoding: 'buffer' as const },
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    };
    execFile(file, [...words], options, (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : -1;
      resolve({ status: error === null ? 0 : code, stdout, stderr: stderr.toString() });
    });
  });
}
