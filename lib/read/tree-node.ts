/** Nodes of an archive whose places in it are known. Shared by all that look into archives. */
import type { CatarNode } from '../../formats/catar-events.ts';
import type { GoodbyeTable } from '../../formats/goodbye-reader.ts';

/** A plain value; it may be kept. */
export interface TreeNode {
  readonly node: CatarNode;
  /** Nodes above it. */
  readonly depth: number;
  /** Archive offset of its ENTRY. */
  readonly start: number;
  /** Archive offset behind its last byte. The content of a file are the last bytes before it. */
  readonly end: number;
  /** Exactly for folders. */
  readonly folder?: FolderPlace;
}

export interface FolderPlace {
  /** Archive offset of the FILENAME of the first child, if there is one. */
  readonly childrenStart: number;
  readonly table: GoodbyeTable;
}

/**
 * A child as a listing finds it. Of one that is `isUnread`, a folder, the own table cannot be read: no more
 * is known of it, and it is no {@link TreeNode} to look into.
 */
export interface ListedChild extends TreeNode {
  readonly isUnread?: true;
}

/** Where a node begins, and where it ends, if that is known. */
export interface NodePlace {
  readonly start: number;
  readonly depth: number;
  readonly end?: number;
}

/**
 * Takes one child of a folder.
 * @param offset archive offset of its FILENAME
 * @returns false to end the listing
 */
export type TakeChild = (name: Uint8Array, child: ListedChild, offset: number) => boolean;
