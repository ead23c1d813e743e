/** Where the progress of a run is shown and reported, as terminal and options ask. */
import type { ProgressSink } from '../lib/progress.ts';
import type { Options } from './options.ts';
import { NO_PROGRESS_BAR, openProgressBar, type ProgressBar } from './progress-bar.ts';
import {
  checkReportDescriptor,
  openProgressReport,
  type ProgressReport,
  writeJsonLine,
} from './report-descriptor.ts';

const STDERR = 2;
const DEFAULT_COLUMNS = 80;

export interface Progress {
  readonly sink: ProgressSink;
  /** Takes the bar away, before other output. */
  readonly clear: () => void;
  /** Takes the bar away for good and reports the last state. */
  readonly close: () => void;
  /** Writes one line of JSON where `--stats=` says, if it was given. */
  readonly reportStatistics: (statistics: object) => void;
}

async function openBar(write: (text: string) => void): Promise<ProgressBar> {
  const { isatty } = await import('node:tty');
  if (!isatty(STDERR) || process.env.TERM === 'dumb') return NO_PROGRESS_BAR;
  const { stderr } = process;
  return openProgressBar({
    write,
    columns: () => stderr.columns || DEFAULT_COLUMNS,
    now: () => performance.now(),
  });
}

/**
 * @param write writes text to standard error at once
 * @throws CasError `USAGE` if a report is to go to a descriptor that is not open
 */
export async function openProgress(
  { progressDescriptor, statsDescriptor }: Options,
  write: (text: string) => void,
): Promise<Progress> {
  if (progressDescriptor !== undefined) checkReportDescriptor('progress', progressDescriptor);
  if (statsDescriptor !== undefined) checkReportDescriptor('stats', statsDescriptor);
  const bar = progressDescriptor === STDERR ? NO_PROGRESS_BAR : await openBar(write);
  let report: ProgressReport | undefined;
  if (progressDescriptor !== undefined) {
    report = openProgressReport(progressDescriptor, () => performance.now());
  }
  return {
    sink(event) {
      bar.sink(event);
      report?.sink(event);
    },
    clear: bar.clear,
    close() {
      bar.close();
      report?.close();
    },
    reportStatistics(statistics) {
      if (statsDescriptor === undefined) return;
      bar.clear();
      report?.close();
      writeJsonLine(statsDescriptor, statistics);
    },
  };
}
