/**
 * Job of the extraction of trees: restores a batch of simple entries into directories that the
 * caller holds open. What fails is told as data, because the caller must know which came first.
 */
import { ConfinedDir } from '../../extract/confined-dir.node.ts';
import { type BatchedEntry, readBatch } from '../../extract/entry-batch.node.ts';
import {
  completeReplacements,
  MOST_REPLACEMENTS,
  type Replacement,
} from '../../extract/replacement.node.ts';
import { replaySet } from '../../extract/replay-set.ts';
import { restoreSimple, type SimplePlace } from '../../extract/simple-entry.node.ts';
import { newTally, type TreeStatistics } from '../../extract/tally.ts';
import { type ErrorMessage, messageOfError } from '../error-message.ts';

/** A directory that is open in this process. */
export interface RestoreDirectory {
  readonly descriptor: number;
  /** As in {@link SimplePlace}. */
  readonly isPrivate: boolean;
  readonly isNew: boolean;
}

export interface RestoreInput {
  /** The entries, as {@link readBatch} reads them; in shared memory. */
  readonly batch: Uint8Array;
  /** The directories that the entries name by number. */
  readonly directories: readonly RestoreDirectory[];
  readonly punchHoles: boolean;
  readonly undoImmutable: boolean;
  /** Features to restore. */
  readonly replayFlags: bigint;
}

/** The entry that failed; those behind it were not begun, or are as they were. */
export interface RestoreFailure {
  readonly directory: number;
  readonly order: number;
  readonly name: Uint8Array;
  /** Without subject. */
  readonly error: ErrorMessage;
}

export interface RestoreOutput {
  readonly failure: RestoreFailure | undefined;
  readonly statistics: TreeStatistics;
}

/** Files that wait for their names, and the entries that they are. */
interface Waiting {
  readonly entries: BatchedEntry[];
  readonly replacements: Replacement[];
}

/** Needs nothing that a thread keeps. */
export function restoreEntries(_context: unknown, input: RestoreInput): RestoreOutput {
  const { batch, punchHoles, undoImmutable, replayFlags } = input;
  const places = input.directories.map(({ descriptor, isPrivate, isNew }): SimplePlace => {
    return { directory: new ConfinedDir(descriptor, { undoImmutable }), isPrivate, isNew };
  });
  const statistics = newTally();
  const rules = { punchHoles, replay: replaySet(replayFlags), tally: statistics };
  const waiting: Waiting = { entries: [], replacements: [] };
  for (const batched of readBatch(batch)) {
    const { entry, directory, content } = batched;
    try {
      const replacement = restoreSimple(places[directory], entry, content, rules);
      if (replacement === undefined) continue;
      waiting.entries.push(batched);
      waiting.replacements.push(replacement);
    } catch (error) {
      return { failure: complete(waiting) ?? failureOf(batched, error), statistics };
    }
    const failure = waiting.entries.length < MOST_REPLACEMENTS ? undefined : complete(waiting);
    if (failure !== undefined) return { failure, statistics };
  }
  return { failure: complete(waiting), statistics };
}

/** Gives the files their names. @returns the first that failed */
function complete(waiting: Waiting): RestoreFailure | undefined {
  const entries = waiting.entries.splice(0);
  const failure = completeReplacements(waiting.replacements.splice(0));
  return failure && failureOf(entries[failure.index], failure.error);
}

function failureOf({ entry, directory, order }: BatchedEntry, error: unknown): RestoreFailure {
  return { directory, order, name: entry.name.slice(), error: messageOfError(error) };
}
