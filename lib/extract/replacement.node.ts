/**
 * Files that are complete under temporary names and are to take the place of older ones: they are
 * written to disk together, so that most of them wait for one disk access and not each for its own, and
 * then get their names (spec/promises.md, 3). Used by the entry sinks.
 */
import { closeSync, fsyncSync } from 'node:fs';
import { beginWriteback } from '../os/writeback.node.ts';
import type { ConfinedDir } from './confined-dir.node.ts';
import { run } from './directory-calls.node.ts';

export interface Replacement {
  readonly directory: ConfinedDir;
  readonly name: Uint8Array;
  readonly temporary: Uint8Array;
  /** Open; closed when the file has its name, or is given up. */
  readonly fd: number;
}

/** Each is an open file, and threads have their own; more than this gain little. */
export const MOST_REPLACEMENTS = 32;

export interface ReplacementFailure {
  /** Which of them. */
  readonly index: number;
  readonly error: unknown;
}

/**
 * Gives files their names, each after it is on disk.
 * @returns the first that failed: neither it nor any after it has its name, and their temporary
 * files are gone
 */
export function completeReplacements(
  replacements: readonly Replacement[],
): ReplacementFailure | undefined {
  for (const { fd } of replacements) beginWriteback(fd);
  let failure: ReplacementFailure | undefined;
  const steps = [
    ({ fd }: Replacement) => run('sync', () => fsyncSync(fd)),
    ({ directory, temporary, name }: Replacement) => directory.replace(temporary, name),
  ];
  for (const step of steps) {
    for (const [index, replacement] of replacements.slice(0, failure?.index).entries()) {
      try {
        step(replacement);
      } catch (error) {
        failure = { index, error };
        break;
      }
    }
  }
  for (const { directory, temporary } of replacements.slice(
    failure?.index ?? replacements.length,
  )) {
    dropTemporary(directory, temporary);
  }
  for (const { fd } of replacements) closeSync(fd);
  return failure;
}

/** Removes what is left of an entry, because of an earlier failure: that is the one to report. */
export function dropTemporary(directory: ConfinedDir, name: Uint8Array): void {
  try {
    directory.remove(name);
  } catch {
    // The target is not ours to the end, or its file system has failed altogether.
  }
}
