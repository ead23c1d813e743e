/**
 * Answers to READDIR and READDIRPLUS of the FUSE protocol: entries of a folder, one behind the other
 * in one piece of memory. Used by the server of mounted file systems.
 */
import { writeU32, writeU64 } from './bytes.ts';
import { FUSE_ENTRY_SIZE, type FuseAttributes, writeEntry } from './fuse-replies.ts';

const ENTRY_HEADER_SIZE = 24;

/** One line of a listing. */
export interface FuseDirectoryEntry {
  readonly name: Uint8Array;
  readonly inode: number;
  /** Only the type matters. */
  readonly mode: number;
  /** Where the listing goes on behind it. */
  readonly next: number;
  /** With READDIRPLUS; an entry without them is one that the kernel has to look up. */
  readonly attributes?: FuseAttributes;
}

/** Memory that a listing is written to, and how far it has come. */
export interface FuseListing {
  readonly out: Uint8Array;
  /** Offset behind the last entry. */
  end: number;
  /** Where there is no room any more. */
  readonly limit: number;
  readonly isPlus: boolean;
}

/** Writes one entry. @returns false if there is no room for it; nothing was written then */
export function appendEntry(listing: FuseListing, entry: FuseDirectoryEntry): boolean {
  const { out, isPlus } = listing;
  const { name } = entry;
  const start = listing.end;
  const at = isPlus ? start + FUSE_ENTRY_SIZE : start;
  const nameEnd = at + ENTRY_HEADER_SIZE + name.length;
  const end = (nameEnd + 7) & ~7;
  if (end > listing.limit) return false;
  if (isPlus) writeEntry(out, start, entry.attributes);
  writeU64(out, at, entry.inode);
  writeU64(out, at + 8, entry.next);
  writeU32(out, at + 16, name.length);
  writeU32(out, at + 20, (entry.mode >>> 12) & 0xf);
  out.set(name, at + ENTRY_HEADER_SIZE);
  out.fill(0, nameEnd, end);
  listing.end = end;
  return true;
}
