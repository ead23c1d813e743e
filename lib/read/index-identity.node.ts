/** What the bytes behind an index are recognised by, without reading them. Binds overlays to their base. */
import { createHash } from 'node:crypto';
import { writeU64 } from '../../formats/bytes.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';

/** Items that are digested at once. */
const BATCH = 1024;
const ITEM_LENGTH = 40;

/** SHA-256 of the ends and ids of all chunks, as they stand in the index (spec/formats/overlay.md). */
export function indexIdentity(index: ChunkIndex): Uint8Array {
  const digest = createHash('sha256');
  const items = new Uint8Array(BATCH * ITEM_LENGTH);
  for (let first = 0; first < index.count; first += BATCH) {
    const count = Math.min(BATCH, index.count - first);
    for (let i = 0; i < count; i++) {
      writeU64(items, i * ITEM_LENGTH, index.end(first + i));
      items.set(index.idBytes(first + i), i * ITEM_LENGTH + 8);
    }
    digest.update(items.subarray(0, count * ITEM_LENGTH));
  }
  return digest.digest();
}
