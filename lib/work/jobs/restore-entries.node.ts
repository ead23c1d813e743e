/**
 * Job of the extraction of trees: restores a batch of simple entries into directories that the
 * caller holds open. What fails is told as data, because the caller must know which came first.
 */
import { ConfinedDir } from '../../extract/confined-dir.node.ts';
import { type BatchedEntry, readBatch } from '../../extract/entry-batch.node.ts';
import { restoreSimple, type SimplePlace } from '../../extract/simple-entry.node.ts';
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
}

/** The entry that failed; those behind it were not begun. */
export interface RestoreFailure {
  readonly directory: number;
  readonly order: number;
  readonly name: Uint8Array;
  /** Without subject. */
  readonly error: ErrorMessage;
}

export interface RestoreOutput {
  readonly failure: RestoreFailure | undefined;
}

/** Needs nothing that a thread keeps. */
export function restoreEntries(_context: unknown, input: RestoreInput): RestoreOutput {
  const { batch, punchHoles, undoImmutable } = input;
  const places = input.directories.map(({ descriptor, isPrivate, isNew }): SimplePlace => {
    return { directory: new ConfinedDir(descriptor, { undoImmutable }), isPrivate, isNew };
  });
  for (const batched of readBatch(batch)) {
    const { entry, directory, content } = batched;
    try {
      restoreSimple(places[directory], entry, content, punchHoles);
    } catch (error) {
      return { failure: failureOf(batched, error) };
    }
  }
  return { failure: undefined };
}

function failureOf({ entry, directory, order }: BatchedEntry, error: unknown): RestoreFailure {
  return { directory, order, name: entry.name.slice(), error: messageOfError(error) };
}
