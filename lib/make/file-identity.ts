/**
 * By what a file is recognised without reading it: equal identities stand for equal contents, if the
 * file was at rest when the content was read. Used by the encoder cache and by whatever reads spans
 * (spec/formats/cache.md, "Identity").
 */
import { readU32, writeU32, writeU64 } from '../../formats/bytes.ts';

/** Bytes of an identity. */
export const IDENTITY_LENGTH = 72;
/** Bytes that `stat` knows; they come first. */
const ATTRIBUTES_LENGTH = 48;

/** The attributes of a file that count. */
export interface IdentifyingAttributes {
  readonly device: number;
  readonly inodeLow: number;
  readonly inodeHigh: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
}

/** What else counts. */
export interface InodeFacts {
  /** 0 where the file system has none. */
  readonly generation: number;
  /** Whether the file system dates every change of a file ({@link datesChanges}). */
  readonly isDated: boolean;
  /** For a change time of whole seconds: what tells this mount from all others; undefined if nothing. */
  readonly mount: MountIdentity | undefined;
}

export interface MountIdentity {
  readonly number: number;
  /** Number of the machine's run. */
  readonly boot: bigint;
}

const CTIME_NANOSECONDS_OFFSET = 36;
const CTIME_OFFSET = 40;
const DATED_OFFSET = 52;
const MOUNT_OFFSET = 56;
const WORD = 2 ** 32;

/** Writes {@link IDENTITY_LENGTH} bytes at `offset`. */
export function writeIdentity(
  facts: IdentifyingAttributes,
  { generation, isDated, mount }: InodeFacts,
  bytes: Uint8Array,
  offset: number,
): void {
  writeAttributes(facts, bytes, offset);
  writeU32(bytes, offset + ATTRIBUTES_LENGTH, generation >>> 0);
  writeU32(bytes, offset + DATED_OFFSET, isDated ? 1 : 0);
  writeU64(bytes, offset + MOUNT_OFFSET, mount?.number ?? 0);
  writeU64(bytes, offset + MOUNT_OFFSET + 8, mount?.boot ?? 0n);
}

function writeAttributes(facts: IdentifyingAttributes, bytes: Uint8Array, offset: number): void {
  writeU64(bytes, offset, facts.device);
  writeU32(bytes, offset + 8, facts.inodeLow);
  writeU32(bytes, offset + 12, facts.inodeHigh);
  writeU64(bytes, offset + 16, facts.size);
  writeSeconds(bytes, offset + 24, facts.mtimeSeconds);
  writeU32(bytes, offset + 32, facts.mtimeNanoseconds);
  writeU32(bytes, offset + CTIME_NANOSECONDS_OFFSET, facts.ctimeNanoseconds);
  writeSeconds(bytes, offset + CTIME_OFFSET, facts.ctimeSeconds);
}

/** A signed number of 64 bits. */
function writeSeconds(bytes: Uint8Array, offset: number, seconds: number): void {
  const high = Math.floor(seconds / WORD);
  writeU32(bytes, offset, seconds - high * WORD);
  writeU32(bytes, offset + 4, high >>> 0);
}

const scratch = new Uint8Array(ATTRIBUTES_LENGTH);

/** Whether attributes are those of an identity; what else it holds is not compared. */
export function hasAttributes(facts: IdentifyingAttributes, identity: Uint8Array): boolean {
  writeAttributes(facts, scratch, 0);
  for (let i = 0; i < ATTRIBUTES_LENGTH; i++) if (scratch[i] !== identity[i]) return false;
  return true;
}

/** Whether attributes are those of the same file, changed or not. */
export function hasInode(facts: IdentifyingAttributes, identity: Uint8Array): boolean {
  return (
    facts.device === deviceOf(identity) &&
    facts.inodeLow === readU32(identity, 8) &&
    facts.inodeHigh === readU32(identity, 12)
  );
}

/** Number of the file system that the file is on, as `FileStat` has it. */
export function deviceOf(identity: Uint8Array): number {
  return readU32(identity, 4) * WORD + readU32(identity, 0);
}

/**
 * Whether a file was at rest: its last change is older than `momentSeconds` (since 1970), and was dated
 * by a file system that dates all changes. Times of whole seconds come from coarse clocks and from
 * images that were built, not written: in two such images equal times say nothing, so the mount must be
 * the same.
 */
export function isAtRest(identity: Uint8Array, momentSeconds: number): boolean {
  if (readU32(identity, DATED_OFFSET) !== 1) return false;
  const isFine = readU32(identity, CTIME_NANOSECONDS_OFFSET) !== 0;
  const hasMount = readU32(identity, MOUNT_OFFSET) !== 0;
  if (!isFine && !hasMount) return false;
  const high = readU32(identity, CTIME_OFFSET + 4) | 0;
  return high * WORD + readU32(identity, CTIME_OFFSET) < momentSeconds;
}

/**
 * File systems that date every change of a content, also through a memory mapping once the page has
 * been written back. Not among them: those in memory, which do not see such changes, and those whose
 * dates come from another machine or a program.
 */
const DATING: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // btrfs
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x794c7630, // overlayfs
]);

/** @param fileSystemType the number by which the kernel names it */
export function datesChanges(fileSystemType: number): boolean {
  return DATING.has(fileSystemType);
}
