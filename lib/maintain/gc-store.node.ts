/** A store as gc sees it: on this machine or elsewhere. */
import type { ObjectBackend } from '../../store/backend.ts';
import type { Lease } from '../../store/lease.ts';
import { LEASE_FOLDER } from '../../store/lease-objects.ts';
import { placeLabel } from '../../store/location.ts';
import { PipelineError } from '../errors.ts';
import { openRemoteBackend } from '../stores/remote-store.node.ts';
import {
  isRemote,
  type LocalStoreDescription,
  type StoreDescription,
} from '../stores/store-description.ts';
import type { ChunkIdSet } from './chunk-id-set.ts';
import { type MarkedVersions, markVersions } from './mark-versions.node.ts';
import { readStoreFolder } from './store-folder.node.ts';
import { leaseForGc, leaseInBackend, type StoreLeaseOptions } from './store-lease.node.ts';
import { type SweepOptions, type SweepResult, sweep } from './sweep.node.ts';
import { sweepObjects } from './sweep-objects.node.ts';
import { sweepPacks } from './sweep-packs.node.ts';

export interface GcStore {
  /** For messages. */
  readonly label: string;
  /** Keeps all others from relying on chunks of the store until it is released. */
  lease(options: StoreLeaseOptions): Promise<Lease>;
  /** Adds the chunks of all versions in its chains, which nobody can make for the time of a lease. */
  markVersions(live: ChunkIdSet): Promise<MarkedVersions>;
  sweep(live: ChunkIdSet, options: SweepOptions): Promise<SweepResult>;
  close(): Promise<void>;
}

/**
 * @throws CasError `STORE_MISSING`; `UNSUPPORTED` if nobody can see what is in it, or remove anything;
 * StorageError
 */
export async function openGcStore(
  description: StoreDescription,
  signal: AbortSignal | undefined,
): Promise<GcStore> {
  if (!isRemote(description)) {
    const { folder } = description;
    readStoreFolder(folder);
    return {
      label: folder,
      lease: (options) => leaseForGc(folder, options),
      sweep: (live, options) => sweepFolder(description, live, options),
      markVersions: (live) => markVersions(folder, live),
      close: async () => {},
    };
  }
  const backend = await openRemoteBackend(description);
  const { write, list, remove } = backend?.can ?? {};
  const label = placeLabel(description.place);
  if (backend === undefined || !write || !list || !remove) {
    await backend?.close();
    const reason = 'The chunks of such a store cannot be listed and removed from here.';
    throw new PipelineError('UNSUPPORTED', { subject: label, reason });
  }
  try {
    await assertThere(backend, signal);
  } catch (error) {
    await backend.close();
    throw error;
  }
  return {
    label,
    lease: (options) => leaseInBackend(backend, options),
    sweep: (live, options) => sweepObjects(backend, live, options),
    markVersions: async () => ({ versionCount: 0, referenceCount: 0 }),
    close: () => backend.close(),
  };
}

/** Chunks with files of their own, and those in packs. */
async function sweepFolder(
  description: LocalStoreDescription,
  live: ChunkIdSet,
  options: SweepOptions,
): Promise<SweepResult> {
  const loose = await sweep(description.folder, live, options);
  const packed = await sweepPacks(description, live, options);
  return {
    ...loose,
    removedCount: loose.removedCount + packed.removedCount,
    remainingCount: loose.remainingCount + packed.remainingCount,
    removedBytes: loose.removedBytes + packed.removedBytes,
    temporaryCount: loose.temporaryCount + packed.temporaryCount,
  };
}

/** Mistakes are told before anybody is waited for. */
async function assertThere(backend: ObjectBackend, signal: AbortSignal | undefined): Promise<void> {
  for await (const _ of backend.list(`${LEASE_FOLDER}/`, signal ? { signal } : {})) return;
}
