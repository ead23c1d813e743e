/** The destination of a session in memory: strict about what a real one may be strict about. */
import { DIGEST_LENGTH } from '../../formats/block-digest.ts';
import { BlockTable } from '../../formats/block-table.ts';
import { rootOfTable } from '../../formats/image-root.ts';
import { createBlockDigest } from '../../lib/digest/block-digest.node.ts';
import type { ReceivingUpdate } from '../../lib/images/session/image-receiver.node.ts';

export interface MemoryDestination {
  /** What it holds. */
  content: Uint8Array;
  /** Bytes that were written, and read. */
  written: number;
  read: number;
}

export interface MemoryUpdateOptions {
  readonly blockSize: number;
  /** Whether its map is clean; else it must be read. */
  readonly isMapClean: boolean;
  readonly size: number | undefined;
  /** Blocks that become known at a time. */
  readonly readAtOnce?: number;
}

export function openMemoryUpdate(
  place: MemoryDestination,
  { blockSize, isMapClean, size, readAtOnce = 5 }: MemoryUpdateOptions,
): ReceivingUpdate {
  const digest = createBlockDigest('sha256');
  const known = new BlockTable(blockSize, place.content.length);
  const digestOf = (block: number): Uint8Array => {
    const into = new Uint8Array(DIGEST_LENGTH);
    const start = block * blockSize;
    digest.write(place.content.subarray(start, start + known.sizeOf(block)), into, 0);
    return into;
  };
  if (isMapClean) for (let i = 0; i < known.count; i++) known.set(i, digestOf(i));
  let end = 0;
  let isOpen = true;
  async function* readings() {
    for (let first = 0; first < known.count && !isMapClean; first += readAtOnce) {
      const count = Math.min(readAtOnce, known.count - first);
      for (let i = first; i < first + count; i++) {
        if (!isOpen) throw new Error('read after the end');
        place.read += known.sizeOf(i);
        known.set(i, digestOf(i));
      }
      await new Promise((resolve) => setImmediate(resolve));
      yield { first, count };
    }
  }
  return {
    blockSize,
    digest: 'sha256',
    known,
    isMapClean,
    root: isMapClean ? rootOfTable(digest, known) : undefined,
    size,
    destination: {
      path: '/memory',
      kind: 'file',
      isNew: false,
      size: place.content.length,
      sectorSize: 512,
    },
    readBytes: 0,
    readDestination: async () => {
      for await (const _ of readings());
    },
    readings,
    async write({ first, count }, digests, bytes) {
      if (first < end || digests.length !== count * DIGEST_LENGTH) throw new Error('not in order');
      end = first + count;
      const start = first * blockSize;
      const last = bytes === undefined ? end * blockSize : start + bytes.length;
      const stop = Math.min(last, size ?? last);
      if (stop > place.content.length) {
        const longer = new Uint8Array(stop);
        longer.set(place.content);
        place.content = longer;
      }
      if (stop > known.size) known.resize(stop);
      place.content.fill(0, start, stop);
      if (bytes !== undefined) place.content.set(bytes, start);
      place.written += bytes?.length ?? 0;
      known.set(first, digests);
    },
    async finish(finalSize) {
      const last = Math.ceil(finalSize / blockSize) - 1;
      const before = last < 0 ? undefined : known.digests(last, 1).slice();
      known.resize(finalSize);
      if (before !== undefined) known.set(last, before);
      const content = new Uint8Array(finalSize);
      content.set(place.content.subarray(0, finalSize));
      place.content = content;
      return { root: rootOfTable(digest, known), writtenBytes: place.written, holeBytes: 0 };
    },
    async abandon() {
      isOpen = false;
    },
  };
}
