/** Reads the bytes of a chunk from the parts that a seed names. Used by the jobs that fetch chunks. */
import { isCasError } from '../../formats/errors.ts';
import { closeEntry, openBelow } from '../os/open.node.ts';
import { readFully } from '../os/read.node.ts';
import type { SeedPart } from './seed.ts';

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
  if (path === undefined) return hasRead(descriptor, into, offset);
  const fd = openPart(descriptor, path);
  if (fd === undefined) return false;
  try {
    return hasRead(fd, into, offset);
  } finally {
    closeEntry(fd);
  }
}

/** Undefined if there is nothing that can be opened. */
function openPart(directory: number, path: Uint8Array): number | undefined {
  try {
    return openBelow(directory, path);
  } catch (error) {
    if (isCasError(error)) return undefined;
    throw error;
  }
}

/** A seed that fails is a seed that does not have the bytes. */
function hasRead(fd: number, into: Uint8Array, offset: number): boolean {
  try {
    return readFully(fd, into, offset) === into.length;
  } catch {
    return false;
  }
}
