/** The end of the process when it was told to stop. Used by the command line. */
import { libc } from './libc.node.ts';

/**
 * Ends the process now. Node's own exit waits for the threads of its pool, and one of them may write to
 * a pipe that nobody reads any more.
 */
export function exitNow(status: number): never {
  process.exitCode = status;
  process.emit('exit', status);
  libc()?._exit(status);
  return process.exit(status);
}
