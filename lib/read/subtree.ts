/** One part of a stream of archive events: the node at a path and everything below it. */
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import type { EventHandler } from './archive.ts';
import { PathTracker } from './path-tracker.ts';

/** Takes what lies within the part that is wanted. */
export interface SubtreeVisitor {
  /** @param depth 0 for the wanted node itself, 1 for its children */
  enter(path: Uint8Array, node: CatarNode, depth: number): 'stop' | undefined;
  data?(bytes: Uint8Array): void;
  leave?(path: Uint8Array, node: CatarNode): void;
}

export interface SubtreeFilter {
  handle(event: CatarEvent): 'stop' | undefined;
  /** Whether the wanted node was there. */
  readonly found: boolean;
}

/**
 * Passes on the events of the node at `wanted` (empty for the root) and of its descendants, with
 * their paths from the root of the archive. Says `stop` when nothing more can come.
 */
export function createSubtreeFilter(wanted: Uint8Array, visitor: SubtreeVisitor): SubtreeFilter {
  const tracker = new PathTracker();
  const nodes: CatarNode[] = [];
  let top = 0;
  return {
    get found() {
      return top > 0;
    },
    handle(event) {
      switch (event.kind) {
        case 'enter':
          tracker.enter(event.name);
          nodes.push(event.node);
          if (!tracker.isWithin(wanted)) return undefined;
          top ||= tracker.depth;
          return visitor.enter(tracker.path, event.node, tracker.depth - top);
        case 'data':
          if (tracker.isWithin(wanted)) visitor.data?.(event.bytes);
          return undefined;
        case 'leave': {
          const node = nodes.pop();
          const within = tracker.isWithin(wanted);
          if (node && within) visitor.leave?.(tracker.path, node);
          tracker.leave();
          return within && nodes.length < top ? 'stop' : undefined;
        }
      }
    },
  };
}

export interface SubtreeEvents {
  readonly handle: EventHandler;
  /** Whether the wanted node was there. */
  readonly found: boolean;
}

/**
 * Like {@link createSubtreeFilter}, but passes on the events as they are.
 * @param handle may return a promise, if the next event has to wait.
 */
export function selectSubtree(
  wanted: Uint8Array,
  handle: (event: CatarEvent) => Promise<void> | undefined,
): SubtreeEvents {
  const tracker = new PathTracker();
  let top = 0;
  const passOn = (event: CatarEvent): Promise<undefined> | undefined =>
    handle(event)?.then(() => undefined);
  return {
    get found() {
      return top > 0;
    },
    handle(event) {
      if (event.kind === 'enter') tracker.enter(event.name);
      const isWithin = tracker.isWithin(wanted);
      if (isWithin) top ||= tracker.depth;
      const pause = isWithin ? passOn(event) : undefined;
      if (event.kind !== 'leave') return pause;
      tracker.leave();
      if (!isWithin || tracker.depth >= top) return pause;
      return pause === undefined ? 'stop' : pause.then(() => 'stop');
    },
  };
}
