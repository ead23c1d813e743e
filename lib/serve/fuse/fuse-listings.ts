/** READDIR and READDIRPLUS: as many entries of a folder as one answer holds. Used by the FUSE server. */

import { appendEntry, type FuseListing } from '../../../formats/fuse-listing.ts';
import { Errno } from '../../../formats/fuse-protocol.ts';
import { type FuseRequest, parseRead } from '../../../formats/fuse-requests.ts';
import type { SignalOption } from '../../../store/backend.ts';
import type { DirectoryEntry, Soon } from './file-system.ts';
import { BODY } from './fuse-answers.ts';
import type { FuseOperation, FuseService } from './fuse-service.ts';

/** Bytes of an answer at most; kernels that ask for more come again. */
const LISTING_BYTES = 64 * 1024;
/** Pieces of memory that are kept for the next listings. */
const MOST_IDLE = 8;
const FOLDER = 0o040000;
/** Offsets behind `.` and `..`; those of a file system are greater. */
const BEHIND_SELF = 1;
const BEHIND_PARENT = 2;

const SELF = Uint8Array.of(0x2e);
const PARENT = Uint8Array.of(0x2e, 0x2e);

/** A listing, and the inodes that it names. */
interface Listed {
  readonly listing: FuseListing;
  readonly named: number[];
}

export const LISTING: FuseOperation<Listed> = listingOperation(false);
export const LISTING_PLUS: FuseOperation<Listed> = listingOperation(true);

function listingOperation(isPlus: boolean): FuseOperation<Listed> {
  return {
    ask: (service, request, options) => ask(service, request, isPlus, options),
    answer: ({ answers }, request, { listing }) => answers.built(request, listing.out, listing.end),
    finish(service, { listing, named }, outcome) {
      giveBack(service, listing.out);
      // READDIR tells no attributes: for the kernel it names nothing.
      if (isPlus && outcome === 'sent') return;
      for (const inode of named) service.fileSystem.forget(inode, 1);
    },
  };
}

function giveBack({ listingMemory }: FuseService, memory: Uint8Array): void {
  if (listingMemory.length < MOST_IDLE) listingMemory.push(memory);
}

function ask(
  service: FuseService,
  request: FuseRequest,
  isPlus: boolean,
  options: SignalOption,
): Soon<Listed | number> {
  const asked = parseRead(request);
  if (asked === undefined) return Errno.EINVAL;
  const { inode } = request;
  const { fileSystem, listingMemory } = service;
  const parent = asked.offset < BEHIND_PARENT ? fileSystem.parentOf(inode) : 0;
  const out = listingMemory.pop() ?? new Uint8Array(BODY + LISTING_BYTES);
  const limit = BODY + Math.min(asked.size, LISTING_BYTES);
  const listing: FuseListing = { out, end: BODY, limit, isPlus };
  const listed: Listed = { listing, named: [] };
  let isFull = !appendDots(listing, asked.offset, inode, parent);
  let taken = 0;
  const take = (entry: DirectoryEntry): boolean => {
    isFull ||= !appendEntry(listing, entry);
    if (isFull) return false;
    taken++;
    if (entry.attributes !== undefined) listed.named.push(entry.attributes.inode);
    return true;
  };
  const result = (): Listed | number => {
    if (!isFull || listing.end > BODY) return listed;
    giveBack(service, out);
    return Errno.EINVAL;
  };
  const failed = (error: unknown): Listed => {
    // What was listed is told; who asks for the rest gets the failure.
    if (taken > 0) return listed;
    giveBack(service, out);
    throw error;
  };
  if (isFull) return result();
  const from = asked.offset <= BEHIND_PARENT ? 0 : asked.offset;
  try {
    const soon = fileSystem.list(inode, from, take, options);
    return soon === undefined ? result() : soon.then(result, failed);
  } catch (error) {
    return failed(error);
  }
}

/** Writes `.` and `..` as far as the listing is not behind them. @returns false if there is no room */
function appendDots(listing: FuseListing, offset: number, inode: number, parent: number): boolean {
  if (offset < BEHIND_SELF) {
    const self = { name: SELF, inode, mode: FOLDER, next: BEHIND_SELF };
    if (!appendEntry(listing, self)) return false;
  }
  if (offset >= BEHIND_PARENT) return true;
  return appendEntry(listing, { name: PARENT, inode: parent, mode: FOLDER, next: BEHIND_PARENT });
}
