/** One part of a stream of archive events: the node at a path and everything below it. */
import type { CatarEvent } from '../../formats/catar-events.ts';
import type { EventHandler } from './archive.ts';
import { PathTracker } from './path-tracker.ts';

export interface SubtreeEvents {
  readonly handle: EventHandler;
  /** Whether the wanted node was there. */
  readonly found: boolean;
}

/**
 * Passes on the events of the node at `wanted` (empty for the root) and of its descendants. Says `stop`
 * when nothing more can come.
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
