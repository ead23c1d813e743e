/**
 * The folders that a kernel knows: where they end and what they lie in, which their inode numbers do
 * not tell. Some 100 bytes each, until the kernel forgets them. Used by the file system of an archive.
 */
import { ROOT_INODE } from './file-system.ts';

/** Where a folder lies in the archive and in the tree. */
export interface KnownFolder {
  readonly parent: number;
  /** Folders above it. */
  readonly depth: number;
  /** Archive offset behind it. */
  readonly end: number;
}

interface Counted extends KnownFolder {
  /** Answers that named it. */
  count: number;
}

export class KnownFolders {
  readonly #folders = new Map<number, Counted>();

  /** Inode number of the folder that a folder is in; undefined if that is not known. */
  parentOf(folder: number): number | undefined {
    return folder === ROOT_INODE ? ROOT_INODE : this.#folders.get(folder)?.parent;
  }

  get(folder: number): KnownFolder | undefined {
    return this.#folders.get(folder);
  }

  /** Counts an answer that names a folder. */
  name(folder: number, { parent, depth, end }: KnownFolder): void {
    const known = this.#folders.get(folder);
    if (known === undefined) this.#folders.set(folder, { parent, depth, end, count: 1 });
    else known.count += 1;
  }

  /** @param count of answers that do not count any more */
  forget(inode: number, count: number): void {
    const known = this.#folders.get(inode);
    if (known === undefined) return;
    known.count -= count;
    if (known.count <= 0) this.#folders.delete(inode);
  }
}
