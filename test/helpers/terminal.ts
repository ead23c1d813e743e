/** Our command on a real terminal (a pty, by Python), and what a person sees on its screen then. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { CASYNC } from './run-casync.ts';

/** What is done as soon as the terminal has shown a text, since the step before. */
export interface Step {
  readonly after: string;
  /** Typed at the keyboard. */
  readonly send?: string;
  /** The window gets this width. */
  readonly columns?: number;
  /** Standard input ends; it stays open until then. */
  readonly endInput?: boolean;
}

export interface TerminalOptions {
  readonly cwd: string;
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly steps?: readonly Step[];
  /** Standard input is a pipe with so many random bytes. */
  readonly inputBytes?: number;
  /** Standard output is a pipe that is read slowly. */
  readonly slowOutput?: boolean;
  /** Standard output is this file. */
  readonly stdoutPath?: string;
}

export interface TerminalRun {
  /** Negative number of the signal that ended it. */
  readonly status: number;
  /** All that the terminal was sent. */
  readonly sent: string;
  /** Lines on the screen at the end, without empty ones at the end. */
  readonly screen: readonly string[];
  /** Steps whose text never came. */
  readonly stepsLeft: number;
}

const TIMEOUT_MS = 60_000;
const DEFAULT_COLUMNS = 80;
const DRIVER = join(import.meta.dirname, 'terminal.py');

const ESCAPE = '\u001b';
const TOKEN = new RegExp(`${ESCAPE}\\[[KJA]|[^]`, 'g');

/** Needs the program python3. */
export function runOnTerminal(
  args: readonly string[],
  options: TerminalOptions,
): Promise<TerminalRun> {
  const { columns = DEFAULT_COLUMNS, steps = [], inputBytes = null, slowOutput = false } = options;
  const settings = {
    command: [process.execPath, CASYNC, ...args],
    cwd: options.cwd,
    columns,
    steps,
    inputBytes,
    slowOutput,
    stdoutPath: options.stdoutPath ?? null,
    timeoutMs: TIMEOUT_MS,
    env: { PATH: process.env.PATH, LC_ALL: 'C', TERM: 'xterm', TZ: 'UTC', ...options.env },
  };
  return new Promise((done, fail) => {
    const child = spawn('python3', [DRIVER, JSON.stringify(settings)]);
    const parts: Buffer[] = [];
    let report = '';
    child.stdout.on('data', (part: Buffer) => parts.push(part));
    child.stderr.on('data', (part: Buffer) => {
      report += part;
    });
    child.on('error', fail);
    child.on('close', () => {
      const last = report.trim().split('\n').pop() ?? '';
      if (!last.startsWith('{')) return fail(new Error(`the terminal failed: ${report}`));
      const sent = Buffer.concat(parts).toString();
      done({ ...JSON.parse(last), sent, screen: screenOf(sent, columns) });
    });
  });
}

/**
 * What a terminal without end downwards shows after `sent`: the few control sequences that our command
 * uses, and a failure for any other.
 */
export function screenOf(sent: string, columns: number): readonly string[] {
  const rows: string[][] = [[]];
  let row = 0;
  let column = 0;
  const line = (): string[] => {
    while (rows.length <= row) rows.push([]);
    return rows[row];
  };
  for (const [token] of sent.matchAll(TOKEN)) {
    if (token === '\r') column = 0;
    else if (token === '\n') row += 1;
    else if (token === `${ESCAPE}[K`) line().length = Math.min(line().length, column);
    else if (token === `${ESCAPE}[A`) row = Math.max(0, row - 1);
    else if (token === `${ESCAPE}[J`) {
      line().length = Math.min(line().length, column);
      rows.length = row + 1;
    } else {
      if (token < ' ' || token === '\u007f')
        throw new Error(`unknown control ${JSON.stringify(sent)}`);
      if (column >= columns) {
        row += 1;
        column = 0;
      }
      line()[column] = token;
      column += 1;
    }
  }
  const text = rows.map((cells) =>
    Array.from(cells, (cell) => cell ?? ' ')
      .join('')
      .trimEnd(),
  );
  while (text.at(-1) === '') text.pop();
  return text;
}
