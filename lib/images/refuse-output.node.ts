/** Files that a result must not take the place of. */
import { fstatSync, type Stats, statSync } from 'node:fs';
import { PipelineError } from '../errors.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';

/** A path or descriptor. */
type Needed = string | number | undefined;

/**
 * A new file takes the place of the one that has its name, which must not be a device, nor anything that
 * is still needed.
 * @param needed what is read @throws PipelineError `UNSAFE_TARGET`
 */
export function refuseOutput(path: string, needed: readonly Needed[]): void {
  const stats = statOf(path);
  if (stats === undefined) return;
  if (!stats.isFile()) {
    const reason = 'it is there and no regular file; give another name';
    throw new PipelineError('UNSAFE_TARGET', { subject: path, step: 'write', reason });
  }
  refuseSameFile(path, needed);
}

/** The same where a result may go anywhere else. @throws PipelineError `UNSAFE_TARGET` */
export function refuseSameFile(path: string, needed: readonly Needed[]): void {
  const stats = statOf(path);
  for (const other of needed) {
    const read = other === undefined ? undefined : statOf(other);
    if (stats === undefined || read === undefined || !isSameFile(stats, read)) continue;
    const which = typeof other === 'string' ? other : 'the input';
    const reason = `it is the same file as ${which}, which is read; give another name`;
    throw new PipelineError('UNSAFE_TARGET', { subject: path, step: 'write', reason });
  }
}

/** A device can have several nodes. */
function isSameFile(a: Stats, b: Stats): boolean {
  if (a.isBlockDevice() && b.isBlockDevice()) return a.rdev === b.rdev;
  return a.ino === b.ino && a.dev === b.dev;
}

function statOf(path: string | number): Stats | undefined {
  if (typeof path === 'number') return fstatSync(path);
  try {
    return statSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw systemFailure('open', error, path);
  }
}
