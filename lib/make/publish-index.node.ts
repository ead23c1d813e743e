/**
 * From chunks in a store to an index that others see: appears when all its chunks are durable, or not
 * at all, and no gc removes any of them meanwhile (spec/promises.md, 2 and 4). Used by all that make
 * indexes.
 */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { encodeIndex } from '../../formats/index-codec.ts';
import type { ChunkStore } from '../../store/chunk-store.ts';
import {
  type HeldLease,
  type StoreLeaseOptions,
  whileInUse,
} from '../maintain/store-lease.node.ts';
import { isDescription } from '../stores/chunk-putter.node.ts';
import type { StoreDescription } from '../stores/store-description.ts';
import type { ByteSink } from './byte-sink.ts';

export interface PublishOptions extends StoreLeaseOptions {
  /** Where the chunks go. A store that is open already is the caller's own: nobody cleans it. */
  readonly store: StoreDescription | ChunkStore;
}

/**
 * @param sink where the index goes; given up if anything fails
 * @param storeChunks resolves when all chunks of the index are durable; looks for no chunk before
 * @throws what `storeChunks` and the sink throw; CasError `LEASE_HELD`, `LEASE_LOST`
 */
export async function publishIndex<Stored extends { readonly index: ChunkIndex }>(
  sink: ByteSink,
  { store, signal, onWait }: PublishOptions,
  storeChunks: () => Promise<Stored>,
): Promise<Stored> {
  const publish = async (lease?: HeldLease): Promise<Stored> => {
    const stored = await storeChunks();
    await sink.write(encodeIndex(stored.index));
    await lease?.confirm();
    await sink.commit();
    return stored;
  };
  try {
    if (!isDescription(store)) return await publish();
    return await whileInUse(store, { index: sink.path, signal, onWait }, publish);
  } finally {
    await sink.discard();
  }
}
