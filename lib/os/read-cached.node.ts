/**
 * Reading what the system has in memory already, without ever waiting for a disk: many times faster than
 * a thread for each read. Used where files are read in any order.
 */
import { readSync } from 'node:fs';
import { constants } from 'node:os';
import { fileSystemType } from './file-system.node.ts';
import { lastErrno, libc } from './libc.node.ts';

/**
 * Fills `into` from an offset on as far as that needs no waiting.
 * @returns bytes that were read, perhaps 0
 */
export type CachedRead = (into: Uint8Array, offset: number) => number;

const RWF_NOWAIT = 8;
/** File systems that have nothing but memory. */
const IN_MEMORY = new Set([0x01021994, 0x858458f6]);
const { EOPNOTSUPP, ENOSYS, EINVAL } = constants.errno;

const REFUSALS = new Set<number>([EOPNOTSUPP, ENOSYS, EINVAL]);

/** @returns undefined where the system cannot tell what is in memory */
export function openCachedRead(descriptor: number): CachedRead | undefined {
  if (IN_MEMORY.has(fileSystemType(descriptor))) return readFromMemory(descriptor);
  const preadv2 = libc()?.preadv2;
  if (preadv2 === undefined) return undefined;
  const read = (into: Uint8Array, offset: number): number =>
    preadv2(descriptor, [{ base: into, length: into.length }], 1, offset, RWF_NOWAIT);
  if (read(new Uint8Array(1), 0) < 0 && REFUSALS.has(lastErrno())) return undefined;
  return (into, offset) => Math.max(0, read(into, offset));
}

function readFromMemory(descriptor: number): CachedRead {
  return (into, offset) => {
    try {
      return readSync(descriptor, into, 0, into.length, offset);
    } catch {
      return 0;
    }
  };
}
