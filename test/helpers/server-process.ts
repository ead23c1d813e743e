/** Server programs for tests: on ports of 127.0.0.1, and never left over when a test dies. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';

const START_TIMEOUT_MS = 20_000;

export interface ServerProcess {
  readonly pid: number;
  /** What it has written to standard error so far. */
  log(): string;
  /** Ends all processes that the server has started, and with them its connections. */
  killChildren(): void;
  /** Ends the server with all its processes. */
  stop(): Promise<void>;
}

/** A port that nobody listens on now. Somebody may take it: be ready to try again. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no address');
  return address.port;
}

/**
 * Starts a program that stays in the foreground; the kernel ends it when this process ends.
 * @param command words, the first one a program in PATH
 * @param isReady looks at standard error, or tries a connection; asked until it says yes
 */
export async function startServer(
  command: readonly string[],
  isReady: (log: string) => boolean | Promise<boolean>,
): Promise<ServerProcess> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command[0]} does not start`);
  const server: ServerProcess = {
    pid,
    log: () => log,
    killChildren: () => killDescendants(pid),
    stop: () => stopServer(child, pid),
  };
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await isReady(log))) {
    if (hasEnded(child) || Date.now() > deadline) {
      await server.stop();
      throw new Error(`${command[0]} does not serve: ${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return server;
}

function hasEnded(child: ChildProcessByStdio<null, null, Readable>): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function stopServer(
  child: ChildProcessByStdio<null, null, Readable>,
  pid: number,
): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  // Stopped first, so that it starts no more processes while the others are ended.
  child.kill('SIGSTOP');
  killDescendants(pid);
  child.kill('SIGKILL');
  await ended;
}

function killDescendants(pid: number): void {
  for (const child of childrenOf(pid)) {
    killDescendants(child);
    try {
      process.kill(child, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'ascii').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}
