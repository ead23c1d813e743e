/** Reads the bytes of a chunk from the parts that a seed names. Used by the jobs that fetch chunks. */
import { closeSync, constants, readSync } from 'node:fs';
import { openAt } from '../os/at.node.ts';
import type { SeedPart } from './seed.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_NOCTTY, O_RDONLY } = constants;
const FOR_READING = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

/**
 * Fills `into` from the parts, as far as they are still there. Nothing is known about the bytes: the
 * caller verifies them.
 * @returns false if the parts do not give as many bytes
 */
export function readParts(parts: readonly SeedPart[], into: Uint8Array): boolean {
  let done = 0;
  for (const part of parts) {
    if (done + part.length > into.length) return false;
    if (!readPart(part, into.subarray(done, done + part.length))) return false;
    done += part.length;
  }
  return done === into.length;
}

function readPart({ descriptor, path, offset }: SeedPart, into: Uint8Array): boolean {
  if (path === undefined) return readFully(descriptor, into, offset);
  const fd = openAt(descriptor, path, FOR_READING);
  if (fd < 0) return false;
  try {
    return readFully(fd, into, offset);
  } finally {
    closeSync(fd);
  }
}

/** A seed that fails is a seed that does not have the bytes. */
function readFully(fd: number, into: Uint8Array, offset: number): boolean {
  try {
    for (let done = 0; done < into.length; ) {
      const length = readSync(fd, into, done, into.length - done, offset + done);
      if (length === 0) return false;
      done += length;
    }
    return true;
  } catch {
    return false;
  }
}
