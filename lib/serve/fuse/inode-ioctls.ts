/**
 * The questions for flags of files that programs ask with ioctl, among them lsattr(1). Used by the FUSE
 * server.
 */
import { writeU32 } from '../../../formats/bytes.ts';
import type { FuseIoctlRequest } from '../../../formats/fuse-requests.ts';
import type { InodeFlagValues } from './file-system.ts';

const GET_FLAGS = 0x8008_6601;
const GET_FLAGS_32 = 0x8004_6601;
const GET_EXTENDED = 0x801c_581f;
const GET_FAT = 0x8004_7210;

/** Bytes of the answers; programs give more room than there are flags. */
const ANSWER_BYTES: ReadonlyMap<number, number> = new Map([
  [GET_FLAGS, 4],
  [GET_FLAGS_32, 4],
  [GET_EXTENDED, 28],
  [GET_FAT, 4],
]);
const MOST_BYTES = 64;
const PROJECT_AT = 12;

/** Flags of chattr(1), and how FS_IOC_FSGETXATTR has the same. */
const EXTENDED_FLAGS: readonly (readonly [chattr: number, extended: number])[] = [
  [0x08, 0x20], // synchronous
  [0x10, 0x08], // immutable
  [0x20, 0x10], // append only
  [0x40, 0x80], // no dump
  [0x80, 0x40], // no access time
  [0x2000_0000, 0x200], // project id goes to children
];

/** Whether this is one of the questions, with room for its answer. */
export function isFlagQuestion({ command, outSize }: FuseIoctlRequest): boolean {
  const size = ANSWER_BYTES.get(command);
  return size !== undefined && outSize >= size && outSize <= MOST_BYTES;
}

/** Writes the result of a question that {@link isFlagQuestion} knows. */
export function writeInodeFlags(
  out: Uint8Array,
  at: number,
  { command, outSize }: FuseIoctlRequest,
  flags: InodeFlagValues,
): void {
  out.fill(0, at, at + outSize);
  if (command === GET_FAT) writeU32(out, at, flags.fat);
  else if (command === GET_EXTENDED) {
    writeU32(out, at, extendedFlags(flags.chattr));
    writeU32(out, at + PROJECT_AT, flags.projectId);
  } else writeU32(out, at, flags.chattr);
}

function extendedFlags(flags: number): number {
  let extended = 0;
  for (const [chattr, bit] of EXTENDED_FLAGS) if ((flags & chattr) !== 0) extended |= bit;
  return extended;
}
