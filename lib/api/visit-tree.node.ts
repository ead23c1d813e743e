/** Goes through a tree, or a part of it, with the paths of its entries. Used by list and manifest. */
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import { PathTracker } from '../read/path-tracker.ts';
import type { ReadTreeOptions } from './options.ts';
import { parentPath, type Subtree, subtreePath } from './subtree.ts';
import { createFlagsReader, forEachEvent, withLocalOwner, withTree } from './tree.node.ts';

export interface TreeEntry {
  /** From the root, whose own path is empty. */
  readonly path: Uint8Array;
  /** 0 for the first entry. */
  readonly depth: number;
  readonly node: CatarNode;
  /** Features of an archive that pass the mask of the options; of a folder, the recorded ones. */
  readonly shownFlags: bigint;
}

export interface VisitOptions extends ReadTreeOptions {
  /** One object of an archive, with what is in it; by default all. */
  readonly subtree?: Subtree;
}

/** Takes what is found; where it has to wait, it returns a promise. */
export interface Visitor {
  /** Nothing below the children of the first entry is wanted. */
  readonly childrenOnly?: boolean;
  enter(entry: TreeEntry): Promise<void> | undefined;
  /** A piece of the content of the entry that was entered last; valid until it returns. */
  data?(bytes: Uint8Array): void;
  /** The end of any entry. */
  leave?(): Promise<void> | undefined;
}

/** @throws CasError `USAGE`, `NOT_IN_ARCHIVE`, `ABORTED`, and what reading throws */
export async function visitTree(options: VisitOptions, visitor: Visitor): Promise<void> {
  const subtree = subtreePath(options.subtree);
  await withTree(options, async (tree) => {
    const flagsOf = createFlagsReader(tree, options);
    const tracker = new PathTracker();
    if (subtree.length > 0) tracker.enter(parentPath(subtree));
    const topDepth = tracker.depth + 1;
    const handle = (event: CatarEvent): Promise<void> | undefined => {
      if (event.kind === 'data') {
        visitor.data?.(event.bytes);
        return undefined;
      }
      if (event.kind === 'leave') {
        tracker.leave();
        return visitor.leave?.();
      }
      tracker.enter(event.name);
      if (tracker.depth === topDepth) options.onFeatures?.(event.node.featureFlags);
      return visitor.enter({
        path: tracker.path,
        depth: tracker.depth - topDepth,
        node: withLocalOwner(tree, event.node, options),
        shownFlags: flagsOf(event.node),
      });
    };
    const contents = visitor.data !== undefined;
    const { childrenOnly = false } = visitor;
    await forEachEvent(tree, handle, options, { contents, subtree, childrenOnly });
  });
}
