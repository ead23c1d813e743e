/** `casync serve-nbd` as a process, and the tools that talk to it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ExecutionContext } from 'ava';
import { CASYNC } from './run-casync.ts';

export interface NbdProcess {
  /** URIs, in the order of `words`: the socket first. */
  readonly addresses: readonly string[];
  readonly pid: number;
  stderr(): string;
  signal(name: NodeJS.Signals): void;
  /** Exit status, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

export interface NbdProcessOptions {
  readonly wrapper?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Starts a server and waits until it listens; it ends with the test. @throws Error with its messages */
export async function nbdProcess(
  t: ExecutionContext<unknown>,
  words: readonly string[],
  { wrapper = [], env = {} }: NbdProcessOptions = {},
): Promise<NbdProcess> {
  const command = ['--pdeathsig', 'KILL', '--', ...wrapper, process.execPath, CASYNC];
  const child = spawn('setpriv', [...command, 'serve-nbd', ...words], {
    env: { ...process.env, LC_ALL: 'C', NODE_OPTIONS: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  let isOver = false;
  const ended = once(child, 'close').then(([status, signal]) => {
    isOver = true;
    return (status ?? signal) as number | NodeJS.Signals | null;
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  while (!stdout.includes('Listening on ')) {
    if (isOver) throw new Error(stderr);
    await Promise.race([once(child.stdout, 'data'), ended]);
  }
  return {
    addresses: [...stdout.matchAll(/^Listening on (.+)$/gm)].map(([, address]) => address),
    pid: child.pid ?? 0,
    stderr: () => stderr,
    signal: (name) => void child.kill(name),
    ended,
  };
}

export interface ToolResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const TOOL_TIMEOUT_MS = 60_000;

/** Runs a program that talks to a server. */
export function runTool(program: string, ...args: readonly string[]): Promise<ToolResult> {
  return new Promise((resolve) => {
    const options = { timeout: TOOL_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 };
    execFile(program, args, options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ status, stdout, stderr });
    });
  });
}
