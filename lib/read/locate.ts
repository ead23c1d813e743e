/**
 * The part of an archive at a path, for list, mtree, stat, digest and extraction with a sub-path. An
 * archive that can be read anywhere is looked into; a pipe is read front to back.
 */
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import { isCasError } from '../../formats/errors.ts';
import {
  type EventHandler,
  notInArchive,
  type ReadArchiveOptions,
  readArchive,
} from './archive.ts';
import type { ByteSource } from './byte-source.ts';
import { PathTracker } from './path-tracker.ts';
import { selectSubtree } from './subtree.ts';
import { TreeLookup } from './tree-lookup.ts';

/** One node and the archive bytes it is made of, from its ENTRY record to the end of its content. */
export interface LocatedNode {
  readonly node: CatarNode;
  readonly path: Uint8Array;
  readonly start: number;
  readonly end: number;
}

type LocateOptions = Omit<ReadArchiveOptions, 'skipPayloads' | 'start' | 'end'>;

/**
 * Looks a path up. A table that does not have it, or is damaged, settles nothing: tables save time, and
 * whether a path is in the archive is up to its records.
 */
async function lookUp(source: ByteSource, path: Uint8Array, options: LocateOptions) {
  if (!source.seekable || source.size === undefined) return undefined;
  try {
    return await new TreeLookup(source, options).open(path);
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
  const looked = await lookUp(source, path, options);
  if (looked !== undefined) {
    const { node, start, end } = looked;
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
  handle: (event: CatarEvent) => Promise<void> | undefined,
  options: Omit<ReadArchiveOptions, 'start' | 'end'> = {},
): Promise<void> {
  const { skipPayloads: _, ...locating } = options;
  const looked = path.length === 0 ? undefined : await lookUp(source, path, locating);
  if (looked === undefined) {
    const events = selectSubtree(path, handle);
    await readArchive(source, events.handle, options);
    if (!events.found) throw notInArchive();
    return;
  }
  const { name, depth, start, end } = looked;
  await readArchive(source, (event) => handle(event)?.then(() => undefined), {
    ...options,
    start: { offset: start, name, depth },
    end,
  });
}
