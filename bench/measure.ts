/**
 * Runs commands and measures what they cost: wall time by our own clock; CPU time and memory, which
 * Node does not tell of children, by GNU time, else by the shell and /proc. Used by the turns and
 * wherever the benchmark needs a program. Each command is a process group of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import type { Usage } from './result.ts';

export interface Command {
  readonly words: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * `time` is GNU time: exact, with one look after the end. `proc` is for machines without it: CPU
 * time by the `times` of the shell is exact, memory is what was seen last in /proc and can miss a
 * peak in the last milliseconds.
 */
export type Meter = 'time' | 'proc';

export interface MeasureOptions {
  readonly meter: Meter;
  /** Path of a file that may be written and removed. */
  readonly scratch: string;
  /** Ends the command, with all its processes; its reason is an Error of the name AbortError. */
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

const GNU_TIME = '/usr/bin/time';
const DEFAULT_TIMEOUT_MS = 30 * 60_000;
const POLL_MS = 10;
const MESSAGE_CHARACTERS = 600;
/** The shell waits for the command and reports about its children on descriptor 3. */
const SHELL_METER = '"$@" 3>&-; status=$?; times >&3; exit $status';

export function chooseMeter(): Meter {
  return existsSync(GNU_TIME) ? 'time' : 'proc';
}

/**
 * @returns what the command has used
 * @throws Error that ends in the command's own message, if it fails, cannot be started or lasts
 * longer than the limit; whatever `signal` was aborted with, after the command has ended
 */
export async function measure(command: Command, options: MeasureOptions): Promise<Usage> {
  options.signal.throwIfAborted();
  const words =
    options.meter === 'time'
      ? [GNU_TIME, '-q', '-f', '%U %S %M', '-o', options.scratch, ...command.words]
      : ['sh', '-c', SHELL_METER, 'sh', ...command.words];
  const report = openSync(options.scratch, 'w');
  try {
    const ended = await run(words, command, report, options);
    const text = readFileSync(options.scratch, 'utf8');
    return options.meter === 'time' ? fromGnuTime(text, ended) : fromShell(text, ended);
  } finally {
    closeSync(report);
    rmSync(options.scratch, { force: true });
  }
}

interface Ended {
  readonly wallSeconds: number;
  readonly seenMemoryBytes: number;
}

function run(
  words: readonly string[],
  command: Command,
  report: number,
  options: MeasureOptions,
): Promise<Ended> {
  const { signal, meter, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const [file = '', ...rest] = words;
  return new Promise((done, fail) => {
    const startedMs = performance.now();
    const child = spawn(file, rest, {
      cwd: command.cwd,
      env: command.env,
      stdio: ['ignore', 'ignore', 'pipe', ...(meter === 'proc' ? [report] : [])],
      detached: true,
    });
    let message = '';
    let reason = '';
    let seenMemoryBytes = 0;
    let wallSeconds = 0;
    const poll = setInterval(() => {
      seenMemoryBytes = Math.max(seenMemoryBytes, peakMemoryBelow(child.pid));
    }, POLL_MS);
    if (meter === 'time') clearInterval(poll);
    const stop = (why: string): void => {
      reason = why;
      killGroup(child);
    };
    const onAbort = (): void => stop('interrupted');
    const timer = setTimeout(() => stop(`no end after ${timeoutMs / 1000} s`), timeoutMs);
    const tidy = (): void => {
      clearInterval(poll);
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    signal.addEventListener('abort', onAbort);
    child.stdio[2]?.on('data', (piece: Buffer) => {
      message = (message + piece.toString('utf8')).slice(-MESSAGE_CHARACTERS);
    });
    child.on('error', (error) => {
      tidy();
      fail(error);
    });
    child.on('exit', () => {
      wallSeconds = (performance.now() - startedMs) / 1000;
    });
    child.on('close', (status, killedBy) => {
      tidy();
      if (signal.aborted) fail(signal.reason);
      else if (status === 0 && reason === '') done({ wallSeconds, seenMemoryBytes });
      else fail(new Error(describeFailure(command, reason || `${killedBy ?? status}`, message)));
    });
  });
}

function describeFailure(command: Command, end: string, message: string): string {
  return `${describeCommand(command)} -> ${end}: ${message.trim().replace(/\s*\n\s*/g, ' | ')}`;
}

/** As it could be typed. */
export function describeCommand({ words }: Command): string {
  return words.map((word) => (/[^\w@%+=:,./-]/.test(word) ? `'${word}'` : word)).join(' ');
}

/** Ends a process that was started detached, with all its children. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has ended in this moment.
  }
}

function fromGnuTime(text: string, { wallSeconds }: Ended): Usage {
  const [user, system, kibibytes] = text.trim().split(/\s+/).map(Number);
  return checked({
    wallSeconds,
    userSeconds: user ?? Number.NaN,
    systemSeconds: system ?? Number.NaN,
    peakMemoryBytes: (kibibytes ?? Number.NaN) * 1024,
  });
}

/** The second line of `times` is about the children: `0m1.23s 0m0.45s`. */
function fromShell(text: string, { wallSeconds, seenMemoryBytes }: Ended): Usage {
  const [userSeconds = Number.NaN, systemSeconds = Number.NaN] = (text.split('\n')[1] ?? '')
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [minutes, seconds] = word.replace(/s$/, '').split('m').map(Number);
      return (minutes ?? Number.NaN) * 60 + (seconds ?? Number.NaN);
    });
  return checked({ wallSeconds, userSeconds, systemSeconds, peakMemoryBytes: seenMemoryBytes });
}

function checked(usage: Usage): Usage {
  const bad = Object.values(usage).some((value) => !Number.isFinite(value));
  if (bad) throw new Error(`cannot read what the command has used: ${JSON.stringify(usage)}`);
  return usage;
}

/** Largest peak of resident memory among the processes below one that still live. */
function peakMemoryBelow(pid: number | undefined): number {
  if (pid === undefined) return 0;
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'ascii').trim();
    const peaks = children === '' ? [] : children.split(' ').map((one) => peakMemoryOf(+one));
    return Math.max(0, ...peaks);
  } catch {
    return 0;
  }
}

/** Largest resident memory so far of a process, or of one below it. */
export function peakMemoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'ascii');
  const kibibytes = Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0);
  return Math.max(kibibytes * 1024, peakMemoryBelow(pid));
}
