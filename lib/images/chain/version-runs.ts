/** Runs of blocks of a table, by whether they are zeros. Used by everything about versions. */
import type { BlockTable } from '../../../formats/block-table.ts';
import type { VersionRun } from '../../../formats/version.ts';
import type { ZeroDigests } from '../zero-digests.ts';

/** The blocks of a table that are wanted, in order. @param zeros of the block size of the table */
export function* versionRuns(
  table: BlockTable,
  zeros: ZeroDigests,
  isWanted: (block: number) => boolean = () => true,
): Generator<VersionRun> {
  let run: { first: number; count: number; isZeros: boolean } | undefined;
  for (let i = 0; i < table.count; i++) {
    if (!isWanted(i)) continue;
    const isZeros = table.has(i, zeros.of(table.sizeOf(i)), 0);
    if (run?.isZeros === isZeros && run.first + run.count === i) run.count += 1;
    else {
      if (run !== undefined) yield run;
      run = { first: i, count: 1, isZeros };
    }
  }
  if (run !== undefined) yield run;
}
