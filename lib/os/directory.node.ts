/** Names and types of what is in an open directory. For the folder walk. */
import { readdirSync } from 'node:fs';
import { lastErrno, libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import { descriptorPath } from './target.node.ts';

export interface DirectoryListing {
  /** One character per byte, ascending by bytes; without `.` and `..`. */
  readonly names: readonly string[];
  /**
   * For each name the type bits of its mode, shifted right by 12; 0 where the file system does not
   * say. True when the directory was read, not necessarily any more.
   */
  readonly types: Uint8Array;
}

const STEP = 'list folder';
const SEEK_SET = 0;

// struct linux_dirent64: inode, offset, u16 record length, u8 type, name with a NUL.
const LENGTH_OFFSET = 16;
const TYPE_OFFSET = 18;
const NAME_OFFSET = 19;
const memory = Buffer.from(new ArrayBuffer(65536));

/**
 * Reads all of a directory from its beginning; moves the position of the descriptor. The names are
 * text and the types bytes, because a directory may have millions of entries.
 * @throws PipelineError without subject
 */
export function listDirectory(fd: number): DirectoryListing {
  const c = libc();
  const { getdents64, lseek } = c ?? {};
  if (getdents64 === undefined || lseek === undefined) return listWithNode(fd);
  if (lseek(fd, 0, SEEK_SET) < 0) throw systemFailure(STEP, lastErrno());
  const names: string[] = [];
  const types: number[] = [];
  for (;;) {
    const length = getdents64(fd, memory, memory.length);
    if (length < 0) throw systemFailure(STEP, lastErrno());
    if (length === 0) return sorted(names, types);
    takeRecords(length, names, types);
  }
}

function takeRecords(length: number, names: string[], types: number[]): void {
  for (let start = 0; start < length; ) {
    const nameStart = start + NAME_OFFSET;
    const name = memory.toString('latin1', nameStart, memory.indexOf(0, nameStart));
    if (name !== '.' && name !== '..') {
      names.push(name);
      types.push(memory[start + TYPE_OFFSET]);
    }
    start += memory[start + LENGTH_OFFSET] | (memory[start + LENGTH_OFFSET + 1] << 8);
  }
}

function sorted(names: readonly string[], types: readonly number[]): DirectoryListing {
  const order = Uint32Array.from(names.keys()).sort((a, b) => (names[a] < names[b] ? -1 : 1));
  return {
    names: Array.from(order, (number) => names[number]),
    types: Uint8Array.from(order, (number) => types[number]),
  };
}

function listWithNode(fd: number): DirectoryListing {
  try {
    const names = readdirSync(descriptorPath(fd), { encoding: 'latin1' }).sort();
    return { names, types: new Uint8Array(names.length) };
  } catch (error) {
    throw systemFailure(STEP, error);
  }
}
