/** What every command gets besides its words: options, outputs, environment and the stop signal. */
import type { ProgressSink } from '../lib/progress.ts';
import type { Settings } from './config.ts';
import type { Options } from './options.ts';
import type { Output } from './output.ts';

export interface Context {
  readonly options: Options;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What is known of places. */
  readonly settings: Settings;
  readonly stdout: Output;
  /** Fires on SIGINT, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal;
  /** From now on SIGHUP has this effect instead. */
  readonly onHangUp: (action: () => void) => void;
  /** Prints a message at error level; the run goes on. */
  readonly warn: (message: string) => void;
  /** Prints a message if `-v` was given. */
  readonly inform: (message: string) => void;
  /** Shows progress on a terminal, and reports it where `--progress=` says. */
  readonly onProgress: ProgressSink;
  /** Writes one line of JSON where `--stats=` says, if it was given. */
  readonly reportStatistics: (statistics: object) => void;
  /** Ends the run with this status although it succeeds. */
  readonly setExitCode: (code: number) => void;
}

/** A command: its words behind the verb, at most as many as its synopsis has. */
export type Command = (words: readonly string[], context: Context) => Promise<void>;
