/** Whole archives to events and back, for tests. */
import { concatBytes } from '../../formats/bytes.ts';
import type { CatarEvent, EnterEvent } from '../../formats/catar-events.ts';
import { CatarParser, type CatarParserOptions } from '../../formats/catar-parser.ts';
import { CatarSerializer } from '../../formats/catar-serializer.ts';

/** All events of an archive that is pushed in pieces ending at `cuts` (ascending offsets). */
export function parseArchive(
  archive: Uint8Array,
  options: CatarParserOptions = {},
  cuts: readonly number[] = [],
): CatarEvent[] {
  const parser = new CatarParser(options);
  const events: CatarEvent[] = [];
  let start = 0;
  for (const end of [...cuts, archive.length]) {
    // A copy per piece: what aliases an earlier piece would not show a later change.
    const piece = archive.slice(start, end);
    for (const event of parser.push(piece)) {
      events.push(event.kind === 'data' ? { ...event, bytes: event.bytes.slice() } : event);
    }
    piece.fill(0xee);
    start = end;
  }
  parser.end();
  return events;
}

/** The archive of these events, whose first enters the root. */
export function serializeEvents(events: readonly CatarEvent[]): Uint8Array {
  const [root] = events;
  if (root?.kind !== 'enter') throw new TypeError('events begin with the root');
  const serializer = new CatarSerializer(root.node.featureFlags);
  const parts = events.flatMap((event) => serializer.push(event).map((part) => part.slice()));
  serializer.end();
  return concatBytes(parts);
}

/** Events without offsets and with the content of each file in one piece. */
export function plainEvents(events: readonly CatarEvent[]): CatarEvent[] {
  const plain: CatarEvent[] = [];
  for (const event of events) {
    const last = plain.at(-1);
    if (event.kind === 'data' && last?.kind === 'data') {
      plain.splice(-1, 1, { kind: 'data', bytes: concatBytes([last.bytes, event.bytes]) });
    } else if (event.kind === 'enter') {
      plain.push({ kind: 'enter', name: event.name, node: event.node });
    } else plain.push(event.kind === 'leave' ? { kind: 'leave' } : event);
  }
  return plain;
}

/** The enter events. */
export function entered(events: readonly CatarEvent[]): readonly EnterEvent[] {
  return events.filter((event) => event.kind === 'enter');
}

/** The archive of the tree that `events` describe, in pieces that are valid until the next is taken. */
export function* serializeTree(
  events: Iterable<CatarEvent>,
  featureFlags: bigint,
): Generator<Uint8Array> {
  const serializer = new CatarSerializer(featureFlags);
  for (const event of events) yield* serializer.push(event);
  serializer.end();
}
