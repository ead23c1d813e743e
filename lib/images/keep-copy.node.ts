/** A copy of a destination that shares its blocks, made before the destination is changed. */
import { closeSync, existsSync, fstatSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openDurableFile } from '../../store/backends/durable-write.node.ts';
import { PipelineError } from '../errors.ts';
import { cloneRange } from '../os/clone.node.ts';
import { systemFailure } from '../os/system-error.node.ts';

/**
 * @param path of the destination, a regular file
 * @param name of the copy: a path, or a name beside the destination; nothing may be there
 * @returns the path of the copy
 * @throws PipelineError `UNSUPPORTED` where blocks cannot be shared, `UNSAFE_TARGET` if there is such a
 * file already
 */
export async function keepCopy(path: string, name: string): Promise<string> {
  const target = name.includes('/') ? name : join(dirname(path), name);
  if (existsSync(target)) {
    const reason = 'it is there already; give the copy another name';
    throw new PipelineError('UNSAFE_TARGET', { subject: target, step: 'keep', reason });
  }
  const descriptor = openForReading(path);
  try {
    const file = openDurableFile(target, { mode: fstatSync(descriptor).mode & 0o777 });
    try {
      if (!cloneRange(descriptor, file.descriptor, { from: 0, to: 0, length: 0 })) {
        const reason = 'the file system cannot share blocks with a copy; copy the file before';
        throw new PipelineError('UNSUPPORTED', { subject: path, step: 'keep', reason });
      }
      await file.commit({ sync: true });
    } finally {
      file.discard();
    }
  } finally {
    closeSync(descriptor);
  }
  return target;
}

function openForReading(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw systemFailure('keep', error, path);
  }
}
