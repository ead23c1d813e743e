/** Reading at an offset, however often the system gives only a part. */
import { readSync } from 'node:fs';

/**
 * Fills `into` with the bytes from `offset` on.
 * @returns how many there were: fewer only at the end of the file
 * @throws the error of node:fs, which the caller translates
 */
export function readFully(fd: number, into: Uint8Array, offset: number): number {
  let done = 0;
  while (done < into.length) {
    const length = readSync(fd, into, done, into.length - done, offset + done);
    if (length === 0) break;
    done += length;
  }
  return done;
}
