/** Writes archives in the "newc" format of cpio, which kernels unpack as their first file system. */
import { constants } from 'node:fs';

interface CpioEntry {
  readonly path: string;
  /** Type and permissions. */
  readonly mode: number;
  readonly content: Uint8Array;
}

const HEADER_FIELDS = 13;
const TRAILER = 'TRAILER!!!';

/** @param entries folders before what is in them; paths without a slash at the begin */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const all = [...entries, { path: TRAILER, mode: 0, content: new Uint8Array() }];
  return Buffer.concat(all.flatMap((entry, number) => encode(entry, number + 1)));
}

export function folder(path: string): CpioEntry {
  return { path, mode: constants.S_IFDIR | 0o755, content: new Uint8Array() };
}

export function file(path: string, content: Uint8Array | string, permissions = 0o644): CpioEntry {
  return { path, mode: constants.S_IFREG | permissions, content: Buffer.from(content) };
}

export function link(path: string, target: string): CpioEntry {
  return { path, mode: constants.S_IFLNK | 0o777, content: Buffer.from(target) };
}

function encode({ path, mode, content }: CpioEntry, inode: number): readonly Uint8Array[] {
  const name = Buffer.from(`${path}\0`);
  const fields = new Array<number>(HEADER_FIELDS).fill(0);
  // Inode, mode, user, group, links, time, size, two devices, length of the name, checksum.
  fields.splice(0, 7, inode, mode, 0, 0, 1, 0, content.length);
  fields[11] = name.length;
  const hex = fields.map((field) => field.toString(16).padStart(8, '0')).join('');
  const head = Buffer.concat([Buffer.from(`070701${hex}`), name]);
  return [head, padding(head.length), content, padding(content.length)];
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4);
}
