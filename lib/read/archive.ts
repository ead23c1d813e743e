/**
 * Reading an archive from any byte source: events for list, mtree, stat and extraction, and the
 * place of one node inside the archive.
 */
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import { CatarParser } from '../../formats/catar-parser.ts';
import { about, type CasError } from '../../formats/errors.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import type { Breather } from '../work/breathe.ts';
import type { ByteSource } from './byte-source.ts';
import { PathTracker } from './path-tracker.ts';

export interface ReadArchiveOptions {
  /** Jump over file contents instead of reading them; such files have no data events. */
  readonly skipPayloads?: boolean;
  /** Feature flags that the archive must carry, known from its index. */
  readonly expectedFlags?: bigint;
  readonly signal?: AbortSignal;
  readonly breathe?: Breather;
  readonly onProgress?: ProgressSink;
}

/**
 * Takes one event; `stop` ends the reading early. Returns a promise only where it has to wait, because
 * to wait for each event would cost more than the event.
 */
export type EventHandler = (event: CatarEvent) => Outcome | Promise<Outcome>;

type Outcome = 'stop' | undefined;

/**
 * Feeds every event of the archive to `handle`.
 * @returns archive offset behind the last byte of the archive, or of the last event before `stop`
 * @throws FormatError named after the source; whatever the source and the handler throw
 */
export async function readArchive(
  source: ByteSource,
  handle: EventHandler,
  options: ReadArchiveOptions = {},
): Promise<number> {
  const parser = new CatarParser({
    skipPayloads: options.skipPayloads ?? false,
    ...(options.expectedFlags === undefined ? {} : { expectedFlags: options.expectedFlags }),
  });
  while (!parser.done) {
    throwIfAborted(options.signal);
    await options.breathe?.();
    const bytes = await source.read(parser.nextOffset);
    if (bytes.length === 0) break;
    const events = parser.push(bytes)[Symbol.iterator]();
    for (;;) {
      const event = nextEvent(events, source.label);
      if (event === undefined) break;
      const outcome = handle(event);
      if (outcome === undefined) continue;
      if ((await outcome) === 'stop') return parser.nextOffset;
    }
    options.onProgress?.(progressOf('read', parser.nextOffset, source.size));
  }
  inContext(source.label, () => parser.end());
  return parser.nextOffset;
}

/** Only the parser's own errors are about the archive; what the handler throws keeps its subject. */
function nextEvent(events: Iterator<CatarEvent>, label: string): CatarEvent | undefined {
  try {
    const next = events.next();
    return next.done ? undefined : next.value;
  } catch (error) {
    throw about(label, error);
  }
}

function inContext<T>(label: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw about(label, error);
  }
}

/** One node and the archive bytes it is made of, from its ENTRY record to the end of its content. */
export interface LocatedNode {
  readonly node: CatarNode;
  readonly path: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/**
 * Finds the node at `path` (components joined by slashes, empty for the root).
 * @throws PipelineError `NOT_IN_ARCHIVE` if there is none
 */
export async function locateNode(
  source: ByteSource,
  path: Uint8Array,
  options: ReadArchiveOptions = {},
): Promise<LocatedNode> {
  const tracker = new PathTracker();
  let found: Omit<LocatedNode, 'end'> | undefined;
  let end: number | undefined;
  const handle: EventHandler = (event) => {
    if (event.kind === 'enter') {
      tracker.enter(event.name);
      if (!found && tracker.equals(path)) {
        found = { node: event.node, path: tracker.path, start: event.offset ?? 0 };
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

/** The failure to find a sub-path, with the original's words. */
export function notInArchive(): CasError {
  return new PipelineError('NOT_IN_ARCHIVE', { reason: 'Seek path not available in archive.' });
}
