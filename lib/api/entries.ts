/** Telling the caller of entries and feature flags, in the order of `-v` (spec/command-line.md). */
import type { CatarEvent } from '../../formats/catar-events.ts';
import { PathTracker } from '../read/path-tracker.ts';
import { joinPaths } from './subtree.ts';

const NO_PATH = new Uint8Array(0);

/** Told when an entry is begun and ended. The path is that from the root, whose own is empty. */
export type EntrySink = (path: Uint8Array, stage: 'begin' | 'end') => void;

export interface EntryEvents {
  readonly onEntry?: EntrySink;
  /** Told the feature flags of the tree as soon as they are known. */
  readonly onFeatures?: (featureFlags: bigint) => void;
}

/**
 * A sink that tells of the features after the begin of the first entry. Without anybody who wants to
 * know of entries there is none, and the features are told at once.
 * @param parent path of the folder that all paths are in; empty for the root
 */
export function entriesThenFeatures(
  { onEntry, onFeatures }: EntryEvents,
  featureFlags: bigint,
  parent: Uint8Array = NO_PATH,
): EntrySink | undefined {
  if (onEntry === undefined) {
    onFeatures?.(featureFlags);
    return undefined;
  }
  let isFirst = true;
  return (path, stage) => {
    onEntry(joinPaths(parent, path), stage);
    if (isFirst) onFeatures?.(featureFlags);
    isFirst = false;
  };
}

/** Tells of archive events. @param parent path of the folder that all of them are in */
export function createEntryTeller(
  events: EntryEvents,
  parent: Uint8Array = NO_PATH,
): (event: CatarEvent) => undefined {
  const tracker = new PathTracker();
  let isFirst = true;
  let sink: EntrySink | undefined;
  return (event) => {
    if (isFirst && event.kind === 'enter') {
      isFirst = false;
      sink = entriesThenFeatures(events, event.node.featureFlags, parent);
    }
    // Whole archives come by; most callers do not want to know of entries.
    if (sink === undefined) return undefined;
    if (event.kind === 'enter') {
      tracker.enter(event.name);
      sink(tracker.path, 'begin');
    } else if (event.kind === 'leave') {
      sink(tracker.path, 'end');
      tracker.leave();
    }
    return undefined;
  };
}
