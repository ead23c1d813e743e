/** Telling the caller of entries and feature flags, in the order of `-v` (spec/command-line.md). */
import { concatBytes } from '../../formats/bytes.ts';
import type { CatarEvent } from '../../formats/catar-events.ts';
import { PathTracker } from '../read/path-tracker.ts';

/** Told when an entry is begun and ended. The path is that from the root, whose own is empty. */
export type EntrySink = (path: Uint8Array, stage: 'begin' | 'end') => void;

export interface EntryEvents {
  readonly onEntry?: EntrySink;
  /** Told the feature flags of the tree as soon as they are known. */
  readonly onFeatures?: (featureFlags: bigint) => void;
}

const SLASH = 0x2f;

/**
 * A sink for paths below `top` that tells of the features after the begin of the first entry. Without
 * anybody who wants to know of entries there is none, and the features are told at once.
 */
export function entriesThenFeatures(
  { onEntry, onFeatures }: EntryEvents,
  featureFlags: bigint,
  top: Uint8Array = new Uint8Array(0),
): EntrySink | undefined {
  if (onEntry === undefined) {
    onFeatures?.(featureFlags);
    return undefined;
  }
  return (path, stage) => {
    onEntry(pathBelow(top, path), stage);
    if (path.length === 0 && stage === 'begin') onFeatures?.(featureFlags);
  };
}

function pathBelow(top: Uint8Array, path: Uint8Array): Uint8Array {
  if (top.length === 0) return path;
  return path.length === 0 ? top : concatBytes([top, Uint8Array.of(SLASH), path]);
}

/** The same for archive events that begin with the node at `top`. */
export function createEntryTeller(
  events: EntryEvents,
  top: Uint8Array = new Uint8Array(0),
): (event: CatarEvent) => undefined {
  const tracker = new PathTracker();
  let sink: EntrySink | undefined;
  return (event) => {
    if (event.kind === 'enter') {
      tracker.enter(tracker.depth === 0 ? new Uint8Array(0) : event.name);
      if (tracker.depth === 1) sink = entriesThenFeatures(events, event.node.featureFlags, top);
      if (sink !== undefined) sink(tracker.path, 'begin');
    } else if (event.kind === 'leave') {
      if (sink !== undefined) sink(tracker.path, 'end');
      tracker.leave();
    }
    return undefined;
  };
}
