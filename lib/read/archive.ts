/**
 * Reading an archive from any byte source: events for list, mtree, stat and extraction, and the
 * place of one node inside the archive.
 */
import type { CatarEvent, NodeStart } from '../../formats/catar-events.ts';
import { CatarParser } from '../../formats/catar-parser.ts';
import { about, type CasError } from '../../formats/errors.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import type { Breather } from '../work/breathe.ts';
import type { ByteSource } from './byte-source.ts';

export interface ReadArchiveOptions {
  /** Jump over file contents instead of reading them; such files have no data events. */
  readonly skipPayloads?: boolean;
  /** Feature flags that the archive must carry, known from its index. */
  readonly expectedFlags?: bigint;
  /** The one node to read; the root if left out. */
  readonly start?: NodeStart;
  /** Archive offset behind that node, if it is known: nothing is read ahead beyond it. */
  readonly end?: number;
  readonly signal?: AbortSignal;
  readonly breathe?: Breather;
  readonly onProgress?: ProgressSink;
  /** What the reading is part of, for progress; `read` by default. */
  readonly phase?: string;
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
  const { expectedFlags, start, end = source.size } = options;
  const parser = new CatarParser({
    skipPayloads: options.skipPayloads ?? false,
    ...(expectedFlags === undefined ? {} : { expectedFlags }),
    ...(start === undefined ? {} : { start }),
  });
  const first = parser.nextOffset;
  const report = (): void => {
    const { phase = 'read' } = options;
    options.onProgress?.(progressOf(phase, parser.nextOffset - first, end && end - first));
  };
  while (!parser.done) {
    throwIfAborted(options.signal);
    await options.breathe?.();
    const bytes = await source.read(parser.nextOffset, options.end);
    if (bytes.length === 0) break;
    const events = parser.push(bytes)[Symbol.iterator]();
    for (;;) {
      const event = nextEvent(events, source.label);
      if (event === undefined) break;
      const outcome = handle(event);
      if (outcome === undefined) continue;
      if ((await outcome) !== 'stop') continue;
      report();
      return parser.nextOffset;
    }
    report();
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

/** The failure to find a sub-path, with the original's words. */
export function notInArchive(): CasError {
  return new PipelineError('NOT_IN_ARCHIVE', { reason: 'Seek path not available in archive.' });
}
