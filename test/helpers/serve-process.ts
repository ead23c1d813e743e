/** `casync serve` as a process of its own, as a user runs it. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import { CASYNC } from './run-casync.ts';

export interface ServeProcess {
  /** As it was printed. */
  readonly address: string;
  readonly pid: number;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  signal(name: NodeJS.Signals): void;
  /** Resolves when it has ended, to status and signal. */
  readonly ended: Promise<readonly [number | null, NodeJS.Signals | null]>;
}

export interface ServeProcessOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Words behind the place. Without `--listen=` any free port is taken. */
  readonly args?: readonly string[];
}

const LISTENING = /^Listening on (\S+)$/m;

/** Starts a server; the kernel ends it when this process ends. @throws Error with its messages */
export async function spawnServe(
  place: string,
  options: ServeProcessOptions = {},
): Promise<ServeProcess> {
  const { cwd, env, args = [] } = options;
  const words = ['serve', place, '--listen=127.0.0.1:0', ...args];
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', '--', process.execPath, CASYNC, ...words],
    {
      cwd,
      env: { ...process.env, LC_ALL: 'C', NODE_OPTIONS: undefined, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  }
  const address = await addressOf(child, texts, ended);
  return {
    address,
    pid: child.pid ?? 0,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    signal: (name) => void child.kill(name),
    ended,
  };
}

async function addressOf(
  child: ChildProcessByStdio<null, Readable, Readable>,
  texts: { readonly stdout: string; readonly stderr: string },
  ended: Promise<unknown>,
): Promise<string> {
  let isOver = false;
  ended.then(() => {
    isOver = true;
  });
  for (;;) {
    const found = LISTENING.exec(texts.stdout)?.[1];
    if (found !== undefined) return found;
    if (isOver) throw new Error(`serve ended: ${texts.stderr}`);
    await Promise.race([once(child.stdout, 'data'), ended]);
  }
}

/** The same, ended with the test. */
export async function serveProcess(
  t: ExecutionContext,
  place: string,
  options: ServeProcessOptions = {},
): Promise<ServeProcess> {
  const server = await spawnServe(place, options);
  t.teardown(async () => {
    server.signal('SIGKILL');
    await server.ended;
  });
  return server;
}
