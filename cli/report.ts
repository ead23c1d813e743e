/** The statistics of a run as one JSON object, where `--stats=` says (spec/command-line.md). */
import type { Context } from './context.ts';

/** @param verb the command. @param statistics plain values */
export function reportStatistics(context: Context, verb: string, statistics: object): void {
  const { maxRSS } = process.resourceUsage();
  context.reportStatistics({ verb, ...statistics, peakMemoryBytes: maxRSS * 1024 });
}
