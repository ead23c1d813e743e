/** The nodes of an archive by reading it front to back: what looking into it must agree with. */
import { concatBytes } from '../../formats/bytes.ts';
import type { CatarNode } from '../../formats/catar-events.ts';
import type { ByteSource } from '../../lib/read/byte-source.ts';
import { parseArchive } from './catar.ts';

/** A node and where it is. */
export interface Place {
  readonly path: Uint8Array;
  readonly node: CatarNode;
  readonly start: number;
  readonly end: number;
}

/** All nodes of an archive, by reading it front to back. */
export function walked(archive: Uint8Array): readonly Place[] {
  const open: { path: Uint8Array; node: CatarNode; start: number; at: number }[] = [];
  const places: Place[] = [];
  for (const event of parseArchive(archive)) {
    if (event.kind === 'enter') {
      const parent = open.at(-1)?.path ?? new Uint8Array(0);
      const separator = parent.length === 0 ? [] : [new Uint8Array([0x2f])];
      const path = concatBytes([parent, ...separator, event.name]);
      const at = places.push({ path, node: event.node, start: event.offset ?? -1, end: -1 }) - 1;
      open.push({ path, node: event.node, start: event.offset ?? -1, at });
    } else if (event.kind === 'leave') {
      const left = open.pop();
      if (left) places[left.at] = { ...places[left.at], end: event.end ?? -1 };
    }
  }
  return places;
}

/** Whether one place is directly below another. */
export function isChild(parent: Place, place: Place): boolean {
  const start = parent.path.length === 0 ? 0 : parent.path.length + 1;
  if (place.path.length <= start || place.path.subarray(start).includes(0x2f)) return false;
  const above = start === 0 ? parent.path : concatBytes([parent.path, Buffer.from('/')]);
  return Buffer.from(place.path.subarray(0, start)).equals(above);
}

/** The part of a place that does not depend on how it was found. */
export const plain = ({ node, start, end }: Pick<Place, 'node' | 'start' | 'end'>) => ({
  node,
  start,
  end,
});

/** Deep equality also of values with bigints. */
export function sameValue(a: unknown, b: unknown): boolean {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part));
  return text(a) === text(b);
}

/** A source that gives a few bytes at a time and counts them. */
export function sourceOf(bytes: Uint8Array, most = 100) {
  const counts = { bytes: 0 };
  const source: ByteSource = {
    label: 'test.catar',
    seekable: true,
    size: bytes.length,
    async read(offset, end = offset + most) {
      const part = bytes.slice(offset, Math.min(end > offset ? end : offset + most, offset + most));
      counts.bytes += part.length;
      return part;
    },
    close: async () => {},
  };
  return { source, counts };
}
