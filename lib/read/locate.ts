/**
 * The part of an archive at a path, for list, mtree, stat, digest and extraction with a sub-path. An
 * archive that can be read anywhere is looked into; a pipe is read front to back.
 */
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import { isCasError } from '../../formats/errors.ts';
import type { SignalOption } from '../../store/backend.ts';
import {
  type EventHandler,
  notInArchive,
  type ReadArchiveOptions,
  readArchive,
} from './archive.ts';
import type { ByteSource } from './byte-source.ts';
import { PathTracker } from './path-tracker.ts';
import { openSourceBlob } from './source-blob.ts';
import { selectSubtree } from './subtree.ts';
import type { TreeNode } from './tree-node.ts';
import { TreeReader } from './tree-reader.ts';

/** One node and the archive bytes it is made of, from its ENTRY record to the end of its content. */
export interface LocatedNode {
  readonly node: CatarNode;
  readonly path: Uint8Array;
  readonly start: number;
  readonly end: number;
}

type LocateOptions = Omit<ReadArchiveOptions, 'skipPayloads' | 'start' | 'end'>;

interface LookedUp {
  readonly tree: TreeReader;
  readonly found: TreeNode;
}

const SLASH = 0x2f;

/**
 * Looks a path up. A table that does not have it, or is damaged, settles nothing: tables save time, and
 * whether a path is in the archive is up to its records.
 */
async function lookUp(
  source: ByteSource,
  path: Uint8Array,
  options: LocateOptions,
): Promise<LookedUp | undefined> {
  if (!source.seekable || source.size === undefined) return undefined;
  try {
    const tree = new TreeReader(openSourceBlob(source, source.size), options);
    const found = await tree.open(path, options);
    return found && { tree, found };
  } catch (error) {
    if (isCasError(error) && error.code === 'FORMAT') return undefined;
    throw error;
  }
}

/**
 * Finds the node at `path` (names joined by slashes, empty for the root).
 * @throws PipelineError `NOT_IN_ARCHIVE` if there is none; FormatError; whatever the source throws
 */
export async function locateNode(
  source: ByteSource,
  path: Uint8Array,
  options: LocateOptions = {},
): Promise<LocatedNode> {
  const lookup = await lookUp(source, path, options);
  if (lookup !== undefined) {
    const { node, start, end } = lookup.found;
    return { node, path, start, end };
  }
  const tracker = new PathTracker();
  let found: Omit<LocatedNode, 'end'> | undefined;
  let end: number | undefined;
  const handle: EventHandler = (event) => {
    if (event.kind === 'enter') {
      tracker.enter(event.name);
      if (!found && tracker.equals(path)) {
        found = { node: event.node, path, start: event.offset ?? 0 };
      }
    } else if (event.kind === 'leave') {
      if (found && tracker.equals(path)) {
        end = event.end ?? 0;
        return 'stop';
      }
      tracker.leave();
    }
    return undefined;
  };
  await readArchive(source, handle, { ...options, skipPayloads: true });
  if (!found || end === undefined) throw notInArchive();
  return { ...found, end };
}

export interface ReadSubtreeOptions extends Omit<ReadArchiveOptions, 'start' | 'end'> {
  /** Nothing below the children of the node; only without contents. */
  readonly childrenOnly?: boolean;
}

/**
 * Feeds `handle` the events of the node at `path` and of everything below it. Of an archive that can be
 * read anywhere nothing else is read.
 * @param handle may return a promise, if the next event has to wait
 * @throws PipelineError `NOT_IN_ARCHIVE` if there is no such node, before any event; FormatError;
 * whatever the source and the handler throw
 */
export async function readSubtree(
  source: ByteSource,
  path: Uint8Array,
  handle: SubtreeHandler,
  { childrenOnly = false, ...options }: ReadSubtreeOptions = {},
): Promise<void> {
  const { skipPayloads: _, ...locating } = options;
  if (path.length === 0 && !childrenOnly) {
    await readArchive(source, untilRootEnds(handle), options);
    return;
  }
  const lookup = await lookUp(source, path, locating);
  if (lookup === undefined) {
    const events = selectSubtree(path, childrenOnly ? withoutGrandchildren(handle) : handle);
    await readArchive(source, events.handle, options);
    if (!events.found) throw notInArchive();
    return;
  }
  const { tree, found } = lookup;
  const name = path.subarray(path.lastIndexOf(SLASH) + 1);
  if (childrenOnly) return readChildren(tree, found, name, handle, options);
  const { depth, start, end } = found;
  await readArchive(source, unstoppable(handle), {
    ...options,
    start: { offset: start, name, depth },
    end,
  });
}

type SubtreeHandler = (event: CatarEvent) => Promise<void> | undefined;

function unstoppable(handle: SubtreeHandler): EventHandler {
  return (event) => handle(event)?.then(() => undefined);
}

/** Behind the end of the root there is nothing that anybody wants to know. */
function untilRootEnds(handle: SubtreeHandler): EventHandler {
  let depth = 0;
  return (event) => {
    if (event.kind === 'enter') depth += 1;
    else if (event.kind === 'leave') depth -= 1;
    const pause = handle(event);
    if (depth > 0) return pause?.then(() => undefined);
    return pause === undefined ? 'stop' : pause.then(() => 'stop');
  };
}

/** Children that were read, but not handled yet; those with attributes may be large. */
const MOST_CHILDREN = 256;

async function readChildren(
  tree: TreeReader,
  found: TreeNode,
  name: Uint8Array,
  handle: SubtreeHandler,
  options: SignalOption,
): Promise<void> {
  const { node, start, end, folder } = found;
  await handle({ kind: 'enter', name, node, offset: start });
  const childrenEnd = folder?.table.offset ?? 0;
  for (let from = folder?.childrenStart ?? 0; from < childrenEnd; ) {
    const children: { readonly name: Uint8Array; readonly child: TreeNode }[] = [];
    const take = (childName: Uint8Array, child: TreeNode): boolean =>
      children.push({ name: childName, child }) < MOST_CHILDREN &&
      child.node.xattrs.length === 0 &&
      child.node.acl === undefined;
    await tree.children(found, from, take, options);
    for (const { name: childName, child } of children) {
      await handle({ kind: 'enter', name: childName, node: child.node, offset: child.start });
      await handle({ kind: 'leave', end: child.end });
      from = child.end;
    }
  }
  await handle({ kind: 'leave', end });
}

function withoutGrandchildren(handle: SubtreeHandler): SubtreeHandler {
  let depth = 0;
  return (event) => {
    if (event.kind === 'enter') depth += 1;
    const outcome = depth <= 2 ? handle(event) : undefined;
    if (event.kind === 'leave') depth -= 1;
    return outcome;
  };
}
