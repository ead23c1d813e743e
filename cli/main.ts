/**
 * The process: arguments in, exit status out. Owns signals, the last-resort error text and what goes to
 * standard error; everything else is in program.ts and below.
 */
import { isCasError } from '../formats/errors.ts';
import { abortedError } from '../lib/errors.ts';
import { exitNow } from '../lib/os/exit.node.ts';
import type { Request } from './arguments.ts';
import { openSettings } from './config.ts';
import type { Context } from './context.ts';
import { EXIT_ABORTED, EXIT_DONE, EXIT_FAILED, exitCodeOf } from './exit-codes.ts';
import { GetoptError } from './getopt.ts';
import { defaultOptions, type Options } from './options.ts';
import { openOutput, writeAll } from './output.ts';
import { parseCommandLine } from './program.ts';
import { openProgress, type Progress } from './progress.ts';
import { checkArgumentsAreUtf8 } from './raw-arguments.ts';

const LEVEL_ALWAYS = 0;
const LEVEL_ERROR = 3;
const LEVEL_INFO = 6;
const STDOUT = 1;
const STDERR = 2;

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

interface ExitSignals {
  /** What SIGHUP does instead of ending the work. */
  hangUp?: () => void;
  readonly release: () => void;
}

/** Signals end the work through `controller`; a repeated one ends the process at once. */
function onExitSignals(controller: AbortController, beforeExit: () => void): ExitSignals {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const stop = (): void => {
    if (controller.signal.aborted) {
      beforeExit();
      exitNow(EXIT_ABORTED);
    }
    controller.abort(abortedError());
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signal === 'SIGHUP' && exitSignals.hangUp !== undefined) exitSignals.hangUp();
    else stop();
  };
  for (const signal of signals) process.on(signal, onSignal);
  const exitSignals: ExitSignals = {
    release() {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
  return exitSignals;
}

type Run = Extract<Request, { kind: 'run' }>;

/** Carries out a command. @returns the exit status of a success */
async function run(
  { verb, words }: Run,
  options: Options,
  progress: Progress,
  complain: (message: string) => void,
): Promise<number> {
  const controller = new AbortController();
  const exitSignals = onExitSignals(controller, progress.close);
  const stdout = openOutput(STDOUT, progress.clear);
  let exitCode = EXIT_DONE;
  const inform = (message: string): void => {
    if (!options.verbose || options.logLevel < LEVEL_INFO) return;
    progress.clear();
    say(`${message}\n`);
  };
  try {
    const context: Context = {
      options,
      environment: process.env,
      settings: await openSettings(options, process.env, { warn: complain, inform }),
      stdout,
      signal: controller.signal,
      onHangUp: (action) => {
        exitSignals.hangUp = action;
      },
      warn: complain,
      inform,
      onProgress: progress.sink,
      reportStatistics: progress.reportStatistics,
      setExitCode: (code) => {
        exitCode = code;
      },
    };
    await verb(words, context);
    stdout.flush();
    return exitCode;
  } catch (error) {
    // What ends in the middle may have more to say, but that is our own doing.
    throw controller.signal.aborted && isCasError(error) ? abortedError() : error;
  } finally {
    exitSignals.release();
  }
}

/**
 * Runs one command line. Does not come back from one that was told to stop.
 * @param program path of the command as it was called, for messages
 * @param argv arguments behind it
 * @returns the exit status
 */
export async function main(program: string, argv: readonly string[]): Promise<number> {
  const status = await runCommandLine(program, argv);
  return status === EXIT_ABORTED || mayHangAtExit() ? exitNow(status) : status;
}

/**
 * Newer Nodes wait at exit for their compiler threads, and one of those may wait for a garbage collection
 * that never comes. What they have compiled is kept first. Profilers need the ordinary exit.
 */
function mayHangAtExit(): boolean {
  const { flushCompileCache } = process.getBuiltinModule('node:module') as {
    readonly flushCompileCache?: () => void;
  };
  const isProfiled = process.env.NODE_V8_COVERAGE !== undefined || process.execArgv.length > 0;
  if (flushCompileCache === undefined || isProfiled) return false;
  flushCompileCache();
  return true;
}

async function runCommandLine(program: string, argv: readonly string[]): Promise<number> {
  const options = defaultOptions(process.env);
  let progress: Progress | undefined;
  const complain = (message: string, level = LEVEL_ERROR): void => {
    progress?.clear();
    if (level <= options.logLevel) say(`${message}\n`);
  };
  try {
    checkArgumentsAreUtf8(argv);
    const request = parseCommandLine(program, argv, options, process.env);
    if (request.kind === 'answer') {
      writeAll(STDOUT, Buffer.from(await request.text()));
      return EXIT_DONE;
    }
    progress = await openProgress(options, say);
    return await run(request, options, progress, (message) => complain(message));
  } catch (error) {
    if (isCasError(error) && error.code === 'READER_GONE') return EXIT_DONE;
    if (isCasError(error) && error.code === 'ABORTED') {
      complain('Got exit signal, quitting.', LEVEL_INFO);
    } else {
      complain(messageOf(error), error instanceof GetoptError ? LEVEL_ALWAYS : LEVEL_ERROR);
    }
    return exitCodeOf(error) || EXIT_FAILED;
  } finally {
    progress?.close();
  }
}
