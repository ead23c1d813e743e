/** What an extraction of a tree has done with the bytes of files. Summed up over all threads. */
import type { ExtractStatistics } from '../statistics.ts';

export type TreeStatistics = Pick<
  ExtractStatistics,
  'holeBytes' | 'reflinkBytes' | 'hardlinkBytes' | 'keptBytes'
>;

/** The same while it is counted. */
export type Tally = { -readonly [Name in keyof TreeStatistics]: TreeStatistics[Name] };

export function newTally(): Tally {
  return { holeBytes: 0, reflinkBytes: 0, hardlinkBytes: 0, keptBytes: 0 };
}

export function addTally(sum: Tally, more: TreeStatistics): void {
  sum.holeBytes += more.holeBytes;
  sum.reflinkBytes += more.reflinkBytes;
  sum.hardlinkBytes += more.hardlinkBytes;
  sum.keptBytes += more.keptBytes;
}
