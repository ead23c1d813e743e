/** Reads `.caexclude` files (spec/formats/excludes.md). Used by the folder walk. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { LimitExceeded } from '../../formats/errors.ts';
import { PipelineError } from '../errors.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { entryPath } from '../os/target.node.ts';

/** Name of the files with exclude rules. */
export const EXCLUDE_FILE_NAME = '.caexclude';

const STEP = 'read exclude rules';
const LARGEST = 64 * 1024 * 1024;
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Bytes of the exclude file of an open directory. A symbolic link is followed.
 * @throws PipelineError, LimitExceeded without subject
 */
export function readExcludeFile(directory: number): Uint8Array {
  let fd: number | undefined;
  try {
    fd = openSync(entryPath(directory, Buffer.from(EXCLUDE_FILE_NAME)), FLAGS);
    const stats = fstatSync(fd);
    if (!stats.isFile() && !stats.isDirectory()) {
      throw new PipelineError('UNSUPPORTED', { step: STEP, reason: 'not a regular file' });
    }
    if (stats.size > LARGEST) {
      throw new LimitExceeded({ step: STEP, reason: `larger than ${LARGEST} bytes` });
    }
    return readFileSync(fd);
  } catch (error) {
    throw error instanceof Error && 'syscall' in error ? systemFailure(STEP, error) : error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
