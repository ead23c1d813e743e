/** Where a folder may be cloned to: neither into itself nor over something that it is in. */
import { realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PipelineError } from '../errors.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';

/**
 * @param target need not exist, but its parent must.
 * @throws PipelineError `USAGE` if one of the folders is in the other, or both are the same
 */
export function checkClonePlaces(source: string, target: string): void {
  const [from, to] = [realPath(source), realPathOfNew(target)];
  const [sourceStats, targetStats] = [statSync(from), statSync(to, { throwIfNoEntry: false })];
  if (from === to || isSame(sourceStats, targetStats)) {
    throw refuse(target, 'Source and target are the same directory, refusing.');
  }
  if (isAbove(sourceStats, to)) {
    throw refuse(target, `The target is inside of the source ${source}, refusing.`);
  }
  if (targetStats !== undefined && isAbove(targetStats, from)) {
    throw refuse(source, `The source is inside of the target ${target}, refusing.`);
  }
}

function refuse(subject: string, reason: string): PipelineError {
  return new PipelineError('USAGE', { subject, reason });
}

/** Whether `path` leads through the folder, by whatever name and mount. */
function isAbove(folder: Stats, path: string): boolean {
  for (let at = dirname(path); ; at = dirname(at)) {
    if (isSame(folder, statSync(at, { throwIfNoEntry: false }))) return true;
    if (at === dirname(at)) return false;
  }
}

function isSame(a: Stats, b: Stats | undefined): boolean {
  return b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw systemFailure('open', error, path);
  }
}

function realPathOfNew(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw systemFailure('open', error, path);
    return join(realPath(dirname(path)), basename(path));
  }
}
