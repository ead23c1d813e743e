/** Runs our command and the reference as child processes and reports what came out. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { makeTemporaryFolder, removeTree } from './temporary-folder.ts';

/** The command under test: the launcher, as a user meets it. */
export const CASYNC = resolve(import.meta.dirname, '../../cli/casync.cjs');

export interface RunOptions {
  readonly cwd?: string;
  /** Replaces the variables of this process that have the same names; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: Uint8Array;
  /** Words put in front of the command, for example `strace -f`. */
  readonly wrapper?: readonly string[];
  /** Measure the largest resident memory with /usr/bin/time. */
  readonly measureMemory?: boolean;
  /** The process is killed after this time; default five minutes. */
  readonly timeoutMs?: number;
}

export interface RunResult {
  readonly args: readonly string[];
  /** Undefined if a signal ended the process. */
  readonly status: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Largest resident memory in bytes, if it was asked for. */
  readonly peakMemoryBytes?: number;
}

const DEFAULT_TIMEOUT_MS = 300_000;

/** Of the dates of files, which go on in ticks (spec/formats/leases.md). */
const DATES_LAG_MS = 30;

/** Runs our command. `gc` begins when all that is there is older: it keeps what has just come. */
export async function runCasync(
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  if (args.includes('gc')) await new Promise((resolve) => setTimeout(resolve, DATES_LAG_MS));
  return run([process.execPath, CASYNC], args, options);
}

/** Runs the original casync; tests check `requirement(t, { commands: ['casync'] })` first. */
export function runReference(
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return run(['casync'], args, options);
}

/** The result's command and messages in one text, for failures of tests. */
export function describeRun(result: RunResult): string {
  const end = result.signal ?? result.status;
  return `casync ${result.args.join(' ')} -> ${end}: ${result.stderr.toString().trim()}`;
}

/** The result of a run that must succeed. @throws Error with the messages of one that did not */
export async function succeed(running: Promise<RunResult>): Promise<RunResult> {
  const result = await running;
  if (result.status !== 0) throw new Error(describeRun(result));
  return result;
}

async function run(
  command: readonly string[],
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const words = [...(options.wrapper ?? []), ...command, ...args];
  if (options.measureMemory !== true) return start(words, args, options);
  const folder = makeTemporaryFolder();
  try {
    const report = join(folder, 'memory');
    const measured = ['/usr/bin/time', '-q', '-f', '%M', '-o', report, ...words];
    const result = await start(measured, args, options);
    return { ...result, peakMemoryBytes: Number(readFileSync(report, 'utf8')) * 1024 };
  } finally {
    removeTree(folder);
  }
}

function start(
  words: readonly string[],
  args: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const [file = '', ...rest] = words;
  return new Promise((done, fail) => {
    const child = spawn(file, rest, {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC', NODE_OPTIONS: undefined, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
    child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
    // The command may end without reading its input.
    child.stdin.on('error', () => {});
    child.stdin.end(options.stdin);
    child.on('error', fail);
    child.on('close', (status, signal) =>
      done({
        args,
        status: status ?? undefined,
        signal: signal ?? undefined,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr),
      }),
    );
  });
}
