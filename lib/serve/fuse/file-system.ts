/**
 * What a read-only file system is to the server that mounts it: answers to the questions of a kernel, by
 * inode number. Implemented for archives and for single blobs.
 */
import type { SignalOption } from '../../../store/backend.ts';
import type { BlobBytes, BlobExtent, BlobRange } from '../../read/blob-reader.ts';
import type { Soon } from '../../work/soon.ts';

export type { Soon } from '../../work/soon.ts';

/** Inode number of the root, as kernels have it. */
export const ROOT_INODE = 1;

/** What stat tells. */
export interface FileAttributes {
  /** Unique within the file system and always the same for the same object. */
  readonly inode: number;
  /** Type and permission bits as in `st_mode`. */
  readonly mode: number;
  readonly linkCount: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file or of a link's target; 0 for all others. */
  readonly size: number;
  /** Time of change in nanoseconds since 1970, negative before. */
  readonly modifiedNs: bigint;
  /** Of character and block devices. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/** One line of a folder. */
export interface DirectoryEntry {
  readonly name: Uint8Array;
  readonly inode: number;
  /** Of the mode only the type is valid. */
  readonly mode: number;
  /** Where the listing goes on behind this entry; more than 2. */
  readonly next: number;
  /** Left out where to find out costs more than the listing. */
  readonly attributes?: FileAttributes;
}

/** Flags of lsattr and of FAT, as ioctl gives them. */
export interface InodeFlagValues {
  /** For FS_IOC_GETFLAGS. */
  readonly chattr: number;
  /** For FAT_IOCTL_GET_ATTRIBUTES. */
  readonly fat: number;
  /** Quota project, for FS_IOC_FSGETXATTR. */
  readonly projectId: number;
}

/**
 * All methods throw CasError, or reject with one, if what they need cannot be read or is damaged; the
 * next call tries again. Calls may overlap. Inode numbers are those that the file system gave out; of others nothing
 * is promised but an error. The signal ends the waiting of its call alone.
 */
export interface MountedFileSystem {
  /** For messages. */
  readonly label: string;
  /** Of all that there is, in bytes, for statfs. */
  readonly size: number;
  /** Whether anything in it may have an ACL. */
  readonly hasAcls: boolean;
  /** @returns undefined if there is no such name */
  lookup(
    folder: number,
    name: Uint8Array,
    options?: SignalOption,
  ): Soon<FileAttributes | undefined>;
  attributes(inode: number, options?: SignalOption): Soon<FileAttributes>;
  /** The parent of a folder, for `..`. */
  parentOf(folder: number): number;
  /**
   * Entries of a folder in order, without `.` and `..`.
   * @param from 0 for the first, else `next` of the entry before
   * @param take is given entries until it returns false; that entry was not taken
   *   and one that was taken with attributes has named its inode, which is forgotten some time
   */
  list(
    folder: number,
    from: number,
    take: (entry: DirectoryEntry) => boolean,
    options?: SignalOption,
  ): Soon<void>;
  readLink(inode: number, options?: SignalOption): Soon<Uint8Array>;
  /** Bytes of a file, exactly those that there are. The caller releases them. */
  read(inode: number, range: BlobRange, options?: SignalOption): Soon<BlobBytes>;
  /** What is known of the bytes of a file at an offset within it. */
  extentAt(inode: number, offset: number, options?: SignalOption): Soon<BlobExtent>;
  /** Names of extended attributes, ACLs and labels among them. */
  extendedAttributeNames(inode: number, options?: SignalOption): Soon<readonly Uint8Array[]>;
  /** @returns undefined if there is no such attribute */
  extendedAttribute(
    inode: number,
    name: Uint8Array,
    options?: SignalOption,
  ): Soon<Uint8Array | undefined>;
  inodeFlags(inode: number, options?: SignalOption): Soon<InodeFlagValues>;
  /**
   * The kernel does not know an inode any more, or has never heard of it.
   * @param count of answers that named it: results of `lookup`, and entries with attributes that
   * `take` accepted
   */
  forget(inode: number, count: number): void;
}
