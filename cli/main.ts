/**
 * The process: arguments in, exit status out. Owns signals, the last-resort error text and the two
 * output descriptors; everything else is in program.ts and below.
 */
import { isCasError } from '../formats/errors.ts';
import { PipelineError } from '../lib/errors.ts';
import type { Context } from './context.ts';
import { EXIT_DONE, EXIT_FAILED, exitCodeOf } from './exit-codes.ts';
import { defaultOptions } from './options.ts';
import { openOutput, ReaderGone, writeAll } from './output.ts';
import { parseCommandLine } from './program.ts';
import { NO_PROGRESS_BAR, openProgressBar } from './progress-bar.ts';

const LEVEL_ERROR = 3;
const LEVEL_INFO = 6;
const STDOUT = 1;
const STDERR = 2;
const DEFAULT_COLUMNS = 80;

/** Standard error may be closed or full; there is nobody left to tell then. */
function say(text: string): void {
  try {
    writeAll(STDERR, Buffer.from(text));
  } catch {
    return;
  }
}

function messageOf(error: unknown): string {
  if (isCasError(error)) return error.message;
  const text = error instanceof Error ? error.message : String(error);
  if (process.env.CASYNC_DEBUG && error instanceof Error) return error.stack ?? text;
  return `Internal error: ${text.split('\n', 1)[0]} (set CASYNC_DEBUG=1 for details)`;
}

/** Signals end the work through `controller`; a repeated one ends the process at once. */
function onExitSignals(controller: AbortController): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = (): void => {
    if (controller.signal.aborted)
      process.exit(exitCodeOf(new PipelineError('ABORTED', { reason: '' })));
    controller.abort();
  };
  for (const signal of signals) process.on(signal, stop);
  return () => {
    for (const signal of signals) process.off(signal, stop);
  };
}

/**
 * Runs one command line.
 * @param program path of the command as it was called, for messages
 * @param argv arguments behind it
 * @returns the exit status
 */
export async function main(program: string, argv: readonly string[]): Promise<number> {
  const stdout = openOutput(STDOUT);
  const controller = new AbortController();
  let exitCode = EXIT_DONE;
  let logLevel = LEVEL_INFO;
  let bar = NO_PROGRESS_BAR;
  const complain = (message: string): void => {
    bar.clear();
    if (logLevel >= LEVEL_ERROR) say(`${message}\n`);
  };
  let release = (): void => {};
  try {
    const options = defaultOptions(process.env);
    const request = parseCommandLine(program, argv, options, process.env);
    if (request.kind === 'answer') {
      stdout.write(await request.text());
      stdout.flush();
      return EXIT_DONE;
    }
    logLevel = options.logLevel;
    release = onExitSignals(controller);
    const { isatty } = await import('node:tty');
    if (isatty(STDERR)) bar = openProgressBar(say, process.stderr.columns ?? DEFAULT_COLUMNS);
    const context: Context = {
      options,
      environment: process.env,
      stdout,
      signal: controller.signal,
      warn: complain,
      inform: (message) => {
        if (options.verbose && logLevel >= LEVEL_INFO) {
          bar.clear();
          say(`${message}\n`);
        }
      },
      onProgress: bar.sink,
      setExitCode: (code) => {
        exitCode = code;
      },
    };
    await request.verb(request.words, context);
    bar.clear();
    stdout.flush();
    return exitCode;
  } catch (error) {
    if (error instanceof ReaderGone) return EXIT_DONE;
    if (isCasError(error) && error.code === 'ABORTED') {
      bar.clear();
      if (logLevel >= LEVEL_INFO) say('Got exit signal, quitting.\n');
    } else {
      complain(messageOf(error));
    }
    return exitCodeOf(error) || EXIT_FAILED;
  } finally {
    release();
  }
}
