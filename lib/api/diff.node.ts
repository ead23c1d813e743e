/** `diff` of the library: in what two trees or two blobs differ (spec/api.md, "diff"). */
import {
  type BlobComparison,
  type BlobDifference,
  compareBlobs,
} from '../compare/compare-blobs.node.ts';
import type { EntryDifference, TreeComparison } from '../compare/compare-trees.ts';
import { equalLength } from '../compare/equal-chunks.ts';
import { PipelineError } from '../errors.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { Compared, compareInputs } from './compared.node.ts';
import type { ComparedInput, FolderOptions } from './options.ts';
import type { WorkOptions } from './work-options.ts';

export interface DiffOptions extends WorkOptions, FolderOptions {
  readonly before: ComparedInput;
  readonly after: ComparedInput;
  /** Told of each entry that differs, in archive order; may return a promise to be waited for. */
  readonly onEntry?: (difference: EntryDifference) => Promise<void> | undefined;
  /** Told of each range of a blob that differs, rising; may return a promise to be waited for. */
  readonly onRange?: (difference: BlobDifference) => Promise<void> | undefined;
}

export type DiffResult =
  | ({ readonly kind: 'trees'; readonly isEqual: boolean } & TreeComparison)
  | ({ readonly kind: 'blobs'; readonly isEqual: boolean } & BlobComparison);

/**
 * Compares two trees, each a folder, an archive or an archive index, or two blobs, each a file, a device,
 * a stream or a blob index. Of indexes only that is fetched which their chunks do not show to be equal.
 * @throws CasError `USAGE` if one is a tree and the other one a blob, `ABORTED`, and what reading throws
 */
export async function diff(options: DiffOptions): Promise<DiffResult> {
  const before = await Compared.open(options.before, options);
  try {
    const after = await Compared.open(options.after, options);
    try {
      if (before.isTree !== after.isTree) throw unfit(before, after);
      if (before.isTree) return await diffTrees(before, after, options);
      return await diffBlobs(before, after, options);
    } finally {
      await after.close();
    }
  } finally {
    await before.close();
  }
}

function unfit(before: Compared, after: Compared): PipelineError {
  const [tree, blob] = before.isTree ? [before, after] : [after, before];
  const reason = `${tree.label} is a tree and ${blob.label} is a blob, which cannot be compared.`;
  return new PipelineError('USAGE', { reason });
}

const NOTHING_DIFFERS = { addedCount: 0, removedCount: 0, changedCount: 0 };

async function diffTrees(
  before: Compared,
  after: Compared,
  options: DiffOptions,
): Promise<DiffResult> {
  const { onEntry = () => undefined } = options;
  if (haveSameChunks(before, after)) {
    return { kind: 'trees', isEqual: true, ...NOTHING_DIFFERS };
  }
  const compared = await compareInputs(before, after, { ...options, onDifference: onEntry });
  const { addedCount, removedCount, changedCount } = compared;
  return { kind: 'trees', isEqual: addedCount + removedCount + changedCount === 0, ...compared };
}

/** Whether two indexes describe the same bytes, so that nothing has to be read. */
function haveSameChunks({ index: a }: Compared, { index: b }: Compared): boolean {
  if (!a || !b || a.totalSize !== b.totalSize || a.featureFlags !== b.featureFlags) return false;
  const { totalSize } = a;
  return equalLength({ index: a, offset: 0 }, { index: b, offset: 0 }, totalSize) === totalSize;
}

async function diffBlobs(
  before: Compared,
  after: Compared,
  options: DiffOptions,
): Promise<DiffResult> {
  const { threadCount = defaultThreadCount(), signal, onProgress } = options;
  const { onRange = () => undefined } = options;
  const compared = await compareBlobs(before.blob(), after.blob(), {
    threadCount,
    onDifference: onRange,
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
  const isEqual = compared.rangeCount === 0 && !compared.hasOtherSize;
  return { kind: 'blobs', isEqual, ...compared };
}
