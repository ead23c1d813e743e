/** `list` of the library: the nodes of a tree, without contents (spec/api.md, "list"). */
import { streamed } from './streamed.ts';
import { type TreeEntry, type VisitOptions, visitTree } from './visit-tree.node.ts';

export interface ListOptions extends VisitOptions {
  /** `false`: only the object itself and its children; default true. */
  readonly recursive?: boolean;
}

/**
 * The entries of a folder, archive or archive index, in archive order. Contents are not read, and of an
 * index only the chunks are fetched that hold metadata.
 * @throws CasError `USAGE`, `NOT_IN_ARCHIVE`, `ABORTED`, and what reading throws
 */
export function list(options: ListOptions): AsyncIterable<TreeEntry> {
  const childrenOnly = options.recursive === false;
  return streamed(
    (give, signal) => visitTree({ ...options, signal }, { enter: give, childrenOnly }),
    options.signal,
  );
}
