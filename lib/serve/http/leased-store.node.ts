/** A store of the place under a shared lease, for uploads. */
import type { ObjectBackend } from '../../../store/backend.ts';
import {
  type HeldLease,
  type StoreLeaseOptions,
  whileInUse,
} from '../../maintain/store-lease.node.ts';
import type { LeasedStore } from './makers.ts';

/**
 * @param described the store, for its lease
 * @param backend the same, for chunks; closed by what is returned, or here if that fails
 * @throws CasError `LEASE_HELD`; StorageError
 */
export async function openLeasedStore(
  described: Parameters<typeof whileInUse>[0],
  options: StoreLeaseOptions,
  backend: ObjectBackend,
): Promise<LeasedStore> {
  let giveUp = (): void => {};
  const isGivenUp = new Promise<void>((resolve) => {
    giveUp = resolve;
  });
  let ended: Promise<void> = Promise.resolve();
  let lease: HeldLease;
  try {
    lease = await new Promise<HeldLease>((resolve, reject) => {
      ended = whileInUse(described, options, async (held) => {
        resolve(held);
        await isGivenUp;
      });
      ended.catch(reject);
    });
  } catch (error) {
    await backend.close();
    throw error;
  }
  return {
    backend,
    confirm: () => lease.confirm(),
    async close() {
      giveUp();
      // A lease that was lost has been noticed where it mattered, by `confirm`.
      await ended.catch(() => {});
      await backend.close().catch(() => {});
    },
  };
}
