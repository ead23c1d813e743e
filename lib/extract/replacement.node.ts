/**
 * Files that are complete under temporary names and are to take the place of older ones: they are
 * brought to disk together, because one sync of the file system costs hardly more than one of a file,
 * and then get their names (spec/promises.md, 3). Used by the entry sinks.
 */
import { closeSync, fsyncSync } from 'node:fs';
import { statDescriptor } from '../os/file-stat.node.ts';
import { beginWriteback, syncAll } from '../os/writeback.node.ts';
import type { ConfinedDir } from './confined-dir.node.ts';
import { run } from './directory-calls.node.ts';

export interface Replacement {
  readonly directory: ConfinedDir;
  readonly name: Uint8Array;
  readonly temporary: Uint8Array;
  /** Open; closed when the file has its name, or is given up. */
  readonly fd: number;
}

/** Each is an open file, and threads have their own. */
export const MOST_REPLACEMENTS = 64;

/** Fewer are synced one by one: that does not wait for what others write to the file system. */
const WORTH_ONE_SYNC = 8;

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
  let failure: ReplacementFailure | undefined;
  const rename = ({ directory, temporary, name }: Replacement) => {
    directory.replace(temporary, name);
  };
  for (const step of areSynced(replacements) ? [rename] : [sync, rename]) {
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

/** Tries to bring all of them to disk at once. */
function areSynced(replacements: readonly Replacement[]): boolean {
  if (replacements.length >= WORTH_ONE_SYNC && areOnOneFileSystem(replacements)) {
    return syncAll(replacements[0].fd);
  }
  for (const { fd } of replacements) beginWriteback(fd);
  return false;
}

function areOnOneFileSystem(replacements: readonly Replacement[]): boolean {
  const directories = new Set(replacements.map(({ directory }) => directory.fd));
  return new Set(Array.from(directories, (fd) => statDescriptor(fd).device)).size === 1;
}

function sync({ fd }: Replacement): void {
  run('sync', () => fsyncSync(fd));
}

/** Removes what is left of an entry, because of an earlier failure: that is the one to report. */
export function dropTemporary(directory: ConfinedDir, name: Uint8Array): void {
  try {
    directory.remove(name);
  } catch {
    // The target is not ours to the end, or its file system has failed altogether.
  }
}
