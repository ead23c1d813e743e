/** Reads what the input of `make` must have. Used by the jobs that read it. */
import { PipelineError } from '../errors.ts';
import { readFully } from '../os/read.node.ts';
import { systemFailure } from '../os/system-error.node.ts';

/**
 * Fills `into` with bytes that were there when the work began.
 * @throws PipelineError without subject; `SOURCE_CHANGED` if they are not there any more
 */
export function readSource(fd: number, into: Uint8Array, offset: number): void {
  let length: number;
  try {
    length = readFully(fd, into, offset);
  } catch (error) {
    throw systemFailure('read', error);
  }
  if (length === into.length) return;
  const reason = `file became shorter while it was read (${offset + length} bytes are left)`;
  throw new PipelineError('SOURCE_CHANGED', { step: 'read', reason });
}
