/** Copies between files inside of the system, holes left out. Used by extraction and `clone`. */
import { readSync } from 'node:fs';
import { nextData, nextHole } from './holes.node.ts';
import { libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import { writeFullySync } from './write.node.ts';

/** So that no call takes long. */
const LARGEST_COPY = 64 * 1024 * 1024;
const BUFFER_LENGTH = 256 * 1024;
const NONE = 0;

// struct { from offset; to offset } as the system reads and moves them.
const offsets = new BigInt64Array(2);
const fromOffset = new Uint8Array(offsets.buffer, 0, 8);
const toOffset = new Uint8Array(offsets.buffer, 8, 8);

/**
 * Copies the first `length` bytes of a file to the begin of another. Nothing may be there yet.
 * @param keepHoles leaves holes of the source out; otherwise they become zeros.
 * @returns bytes up to the end of the last one that was copied: fewer than `length` if a hole, or
 * nothing more, follows there
 * @throws PipelineError without subject
 */
export function copyBegin(from: number, to: number, length: number, keepHoles: boolean): number {
  let end = 0;
  for (let start = 0; start < length; ) {
    const data = keepHoles ? (nextData(from, start) ?? length) : start;
    if (data >= length) break;
    const hole = keepHoles ? nextHole(from, data) : undefined;
    const stop = Math.min(length, hole ?? length);
    end = copyRange(from, to, data, stop);
    if (end < stop) break;
    start = stop;
  }
  return end;
}

/** @returns where the source ended, or `end` */
function copyRange(from: number, to: number, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const wanted = Math.min(LARGEST_COPY, end - at);
    const count = copySome(from, to, at, wanted) ?? copyByHand(from, to, at, wanted);
    if (count === 0) break;
    at += count;
  }
  return at;
}

/** @returns undefined where the system cannot do it, or says that nothing is left */
function copySome(from: number, to: number, at: number, length: number): number | undefined {
  const copy = libc()?.copy_file_range;
  if (copy === undefined) return undefined;
  offsets.fill(BigInt(at));
  const count = copy(from, fromOffset, to, toOffset, length, NONE);
  return count > 0 ? count : undefined;
}

let buffer: Buffer | undefined;

/** Tells why, too, where the system could not do it. @returns 0 at the end of the source */
function copyByHand(from: number, to: number, at: number, length: number): number {
  buffer ??= Buffer.allocUnsafeSlow(BUFFER_LENGTH);
  try {
    const count = readSync(from, buffer, 0, Math.min(buffer.length, length), at);
    writeFullySync(to, buffer.subarray(0, count), at);
    return count;
  } catch (error) {
    throw systemFailure('copy', error);
  }
}
