/**
 * A blob as a file system: one read-only file in the root (spec/mount.md, "What a mounted blob shows").
 */
import { equalBytes } from '../../../formats/bytes.ts';
import type { SignalOption } from '../../../store/backend.ts';
import { PipelineError } from '../../errors.ts';
import {
  type BlobBytes,
  type BlobExtent,
  type BlobRange,
  type BlobReader,
  withinBlob,
} from '../../read/blob-reader.ts';
import type { Soon } from '../../work/soon.ts';
import {
  type DirectoryEntry,
  type FileAttributes,
  type InodeFlagValues,
  type MountedFileSystem,
  ROOT_INODE,
} from './file-system.ts';

export interface BlobFileSystemOptions {
  /** Of the file. */
  readonly name: Uint8Array;
  /** Owner of the file and of the root. */
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly modifiedNs: bigint;
}

const FILE_INODE = 2;
/** Where a listing goes on behind the file. */
const BEHIND_FILE = 3;
const FOLDER_MODE = 0o040555;
const FILE_MODE = 0o100444;
const NO_FLAGS: InodeFlagValues = { chattr: 0, fat: 0, projectId: 0 };
const INDEX_SUFFIX = /\.caibx$/;
const NO_NAME = 'blob';
/** What Linux has for names, in bytes. */
const LONGEST_NAME = 255;

/**
 * The name of the file for a blob: that of its index, without suffix.
 * @param locator path or URL of the index
 */
export function blobFileName(locator: string): string {
  const path = locator.includes('://') ? locator.replace(/[?#].*/s, '') : locator;
  const name = path.slice(path.lastIndexOf('/') + 1).replace(INDEX_SUFFIX, '');
  return name === '' || name === '.' || name === '..' ? NO_NAME : name.slice(0, LONGEST_NAME);
}

/** @param blob stays open */
export function openBlobFileSystem(
  blob: BlobReader,
  options: BlobFileSystemOptions,
): MountedFileSystem {
  return new BlobFileSystem(blob, options);
}

class BlobFileSystem implements MountedFileSystem {
  readonly label: string;
  readonly size: number;
  readonly hasAcls = false;
  readonly #blob: BlobReader;
  readonly #options: BlobFileSystemOptions;

  constructor(blob: BlobReader, options: BlobFileSystemOptions) {
    this.label = blob.label;
    this.size = blob.size;
    this.#blob = blob;
    this.#options = options;
  }

  lookup(folder: number, name: Uint8Array): FileAttributes | undefined {
    this.#expect(folder, ROOT_INODE);
    return equalBytes(name, this.#options.name) ? this.attributes(FILE_INODE) : undefined;
  }

  attributes(inode: number): FileAttributes {
    const { uid, gid, modifiedNs } = this.#options;
    const shared = { inode, uid, gid, modifiedNs };
    if (inode === ROOT_INODE) return { ...shared, mode: FOLDER_MODE, linkCount: 2, size: 0 };
    this.#expect(inode, FILE_INODE);
    return { ...shared, mode: FILE_MODE, linkCount: 1, size: this.size };
  }

  parentOf(folder: number): number {
    this.#expect(folder, ROOT_INODE);
    return ROOT_INODE;
  }

  list(folder: number, from: number, take: (entry: DirectoryEntry) => boolean): void {
    this.#expect(folder, ROOT_INODE);
    if (from >= BEHIND_FILE) return;
    const attributes = this.attributes(FILE_INODE);
    const { name } = this.#options;
    take({ name, inode: FILE_INODE, mode: FILE_MODE, next: BEHIND_FILE, attributes });
  }

  readLink(): never {
    throw this.#refusal('there are no links');
  }

  read(inode: number, range: BlobRange, options?: SignalOption): Soon<BlobBytes> {
    this.#expect(inode, FILE_INODE);
    return this.#blob.read(withinBlob(range, this.size), options);
  }

  extentAt(inode: number, offset: number): BlobExtent {
    this.#expect(inode, FILE_INODE);
    return this.#blob.extentAt(offset);
  }

  extendedAttributeNames(): readonly Uint8Array[] {
    return [];
  }

  extendedAttribute(): undefined {
    return undefined;
  }

  inodeFlags(): InodeFlagValues {
    return NO_FLAGS;
  }

  forget(): void {}

  #expect(inode: number, expected: number): void {
    if (inode !== expected) throw this.#refusal('there is no such file or folder');
  }

  #refusal(reason: string): PipelineError {
    return new PipelineError('USAGE', { subject: this.label, reason });
  }
}
