/** Writes files of spgz, by the published description of the format; there is no such program here. */
import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const UNIT = 4096;
const WORTH_COMPRESSION = 2 * UNIT;

export interface SpgzOptions {
  /** Bytes of a slot in units of 4096. */
  readonly units?: number;
}

/** @returns bytes of the file, which is written to `path` */
export function writeSpgz(path: string, image: Uint8Array, { units = 32 }: SpgzOptions = {}): void {
  const file = openSync(path, 'w');
  const head = Buffer.alloc(12);
  head.write('SPGZ0001');
  head.writeUInt32LE(units, 8);
  writeSync(file, head, 0, head.length, 0);
  const slotSize = units * UNIT;
  const blockSize = slotSize - 1;
  let end = UNIT;
  for (let i = 0; i * blockSize < image.length; i++) {
    const offset = UNIT + i * slotSize;
    const block = image.subarray(i * blockSize, (i + 1) * blockSize);
    const slot = slotOf(block);
    if (slot !== undefined) writeSync(file, slot, 0, slot.length, offset);
    end = offset + (slot?.length ?? block.length + 1);
    // A last block that is whole keeps its slot.
    if (block.length === blockSize) end = offset + slotSize;
  }
  ftruncateSync(file, end);
}

/** Nothing for zeros, which stay a hole. */
function slotOf(block: Uint8Array): Uint8Array | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const member = gzipSync(block);
  if (member.length + 1 < block.length - WORTH_COMPRESSION) {
    return Buffer.concat([Uint8Array.of(1), member]);
  }
  return Buffer.concat([Uint8Array.of(0), block]);
}
