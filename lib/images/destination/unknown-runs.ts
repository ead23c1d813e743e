/** Blocks of a table that nobody knows. */
import type { BlockRun, BlockTable } from '../../../formats/block-table.ts';

/** Those that begin below `size`, in order. */
export function* unknownRuns(table: BlockTable, size = table.size): Generator<BlockRun> {
  const end = Math.ceil(size / table.blockSize);
  for (let first = 0; first < end; ) {
    if (!table.isUnknown(first)) {
      first += 1;
      continue;
    }
    let count = 1;
    while (first + count < end && table.isUnknown(first + count)) count += 1;
    yield { first, count };
    first += count;
  }
}

export function isComplete(table: BlockTable): boolean {
  return unknownRuns(table).next().done === true;
}
