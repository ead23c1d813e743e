/**
 * Leases in stores: what `make` holds while it relies on chunks, and `gc` while it
 * removes them (spec/formats/leases.md).
 */
import { randomBytes } from 'node:crypto';
import { existsSync, rmdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { isCasError } from '../../formats/errors.ts';
import type { ObjectBackend } from '../../store/backend.ts';
import { openLocalBackend } from '../../store/backends/local.node.ts';
import { acquireLease, type Lease, type LeaseClock, type LeaseOptions } from '../../store/lease.ts';
import { classifyLocator, redacted } from '../../store/location.ts';
import { openStoppableBackend } from '../../store/wrap/stoppable.ts';
import { abortedError, controllerBehind, PipelineError, throwIfAborted } from '../errors.ts';
import type { LocalStoreDescription } from '../local-store.node.ts';
import { createFileCalls } from '../os/file-calls.node.ts';
import { isProcessAlive, processIdentity } from '../os/process-identity.node.ts';
import { openRemoteBackend } from '../stores/remote-store.node.ts';
import type { RemoteStoreDescription } from '../stores/store-description.ts';

export interface StoreLeaseOptions {
  readonly signal?: AbortSignal;
  /** How long others are waited for, if not as long as usual. */
  readonly waitMs?: number;
  /** Told once why, before others are waited for. */
  readonly onWait?: (reason: string) => void;
}

export interface UseOptions extends StoreLeaseOptions {
  /** Locator of the index that is made; undefined if it is written to a descriptor. */
  readonly index?: string;
}

/** What work under a lease can ask of it. */
export type HeldLease = Pick<Lease, 'confirm'>;

const NO_LEASE = { confirm: async () => {}, release: async () => true };
/** A make waits so long for a gc, which can take its time. */
const MAKE_WAIT_MS = 10 * 60_000;
/** What taking a lease away may take when work was stopped. */
const CLEANING_MS = 3000;
/** A gc keeps new makes waiting while it waits for those that run. */
const GC_WAIT_MS = 60_000;
const ID_LENGTH = 8;

/**
 * Does `work` while no gc removes chunks from the store. Where the store cannot be written, nobody can
 * be told that we rely on it; the work is done all the same.
 * @param work confirms the lease right before it makes an index visible
 * @throws CasError `LEASE_HELD` if a gc did not end in time; `LEASE_LOST` if one has taken the store
 * over meanwhile, also if the work has ended by then; StorageError
 */
export async function whileInUse<T>(
  store: Pick<LocalStoreDescription, 'folder'> | RemoteStoreDescription,
  options: UseOptions,
  work: (lease: HeldLease) => Promise<T>,
): Promise<T> {
  if ('place' in store) return whileRemoteInUse(store, options, work);
  const { folder } = store;
  const isNew = !existsSync(folder);
  const backend = openBackend(folder);
  try {
    return await whileLeased(backend, options, work);
  } finally {
    await backend.close();
    if (isNew) removeIfEmpty(folder);
  }
}

/** Storage that shows nobody what is in it has no leases, and whoever serves it cares for that. */
async function whileRemoteInUse<T>(
  store: RemoteStoreDescription,
  options: UseOptions,
  work: (lease: HeldLease) => Promise<T>,
): Promise<T> {
  const backend = await openRemoteBackend(store);
  try {
    const { write, list, remove } = backend?.can ?? {};
    if (backend === undefined || !write || !list || !remove) return await work(NO_LEASE);
    return await whileLeased(stoppable(backend, options.signal), options, work);
  } finally {
    await backend?.close();
  }
}

async function whileLeased<T>(
  backend: ObjectBackend,
  options: UseOptions,
  work: (lease: HeldLease) => Promise<T>,
): Promise<T> {
  const lease = await leaseForMake(backend, options);
  let result: T;
  try {
    result = await work(lease);
  } catch (error) {
    await lease.release();
    throw error;
  }
  if (await lease.release()) return result;
  const reason = 'chunks may have been removed before the index was finished: make it again';
  throw new PipelineError('LEASE_LOST', { subject: backend.label, reason });
}

/**
 * Keeps all others from relying on chunks of the store.
 * @returns the lease; who releases it ends everything
 * @throws CasError `LEASE_HELD` if makes did not end in time; StorageError
 */
export async function leaseForGc(folder: string, options: StoreLeaseOptions): Promise<Lease> {
  const backend = openBackend(folder);
  try {
    const lease = await leaseInBackend(backend, options);
    return {
      awaited: lease.awaited,
      confirm: () => lease.confirm(),
      confirmRecent: () => lease.confirmRecent(),
      async release() {
        const wasHeld = await lease.release();
        await backend.close();
        return wasHeld;
      },
    };
  } catch (error) {
    await backend.close();
    throw error;
  }
}

/** The same in storage that is open, and stays open. */
export function leaseInBackend(backend: ObjectBackend, options: StoreLeaseOptions): Promise<Lease> {
  const within = stoppable(backend, options.signal);
  return acquireLease(within, 'exclusive', leaseOptions({ waitMs: GC_WAIT_MS, ...options }));
}

/** Nobody waits for a server that does not answer when work is to stop, or to take a lease away. */
function stoppable(backend: ObjectBackend, signal: AbortSignal | undefined): ObjectBackend {
  return openStoppableBackend(backend, {
    signal: controllerBehind(signal).signal,
    afterwards() {
      const controller = new AbortController();
      setTimeout(() => controller.abort(abortedError()), CLEANING_MS).unref();
      return controller.signal;
    },
  });
}

/** Never synced: a power cut ends all leases anyway. */
function openBackend(folder: string): ObjectBackend {
  const calls = createFileCalls();
  return openLocalBackend(folder, { sync: 'none', ...(calls ? { calls } : {}) });
}

async function leaseForMake(
  backend: ObjectBackend,
  options: UseOptions,
): Promise<Pick<Lease, 'confirm' | 'release'>> {
  try {
    return await acquireLease(
      backend,
      'shared',
      leaseOptions({ waitMs: MAKE_WAIT_MS, ...options }),
    );
  } catch (error) {
    if (!isCasError(error) || error.code !== 'DENIED') throw error;
    return NO_LEASE;
  }
}

function leaseOptions(options: UseOptions & { readonly waitMs: number }): LeaseOptions {
  const { index, signal, waitMs, onWait } = options;
  return {
    holder: { ...processIdentity(), ...(index === undefined ? {} : { index: indexName(index) }) },
    isAlive: isProcessAlive,
    newId: () => randomBytes(ID_LENGTH).toString('hex'),
    clock: createClock(),
    waitMs,
    ...(signal ? { signal } : {}),
    ...(onWait ? { onWait } : {}),
  };
}

/** As others find it: an absolute path, or a URL. */
function indexName(locator: string): string {
  return classifyLocator(locator).kind === 'path' ? resolve(locator) : redacted(locator);
}

/**
 * Of the clocks that there are, one stands still while the machine sleeps and the other may be set: the
 * one that has gone on further counts.
 */
function createClock(): LeaseClock {
  let elapsedMs = 0;
  let lastTick = performance.now();
  let lastTime = Date.now();
  return {
    now() {
      const [tick, time] = [performance.now(), Date.now()];
      elapsedMs += Math.max(tick - lastTick, time - lastTime);
      [lastTick, lastTime] = [tick, time];
      return elapsedMs;
    },
    sleep,
    every(ms, action) {
      const timer = setInterval(action, ms);
      timer.unref();
      return () => clearInterval(timer);
    },
  };
}

async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  throwIfAborted(signal);
  await new Promise<void>((done) => {
    const wake = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', wake);
      done();
    };
    const timer = setTimeout(wake, ms);
    signal?.addEventListener('abort', wake);
  });
  throwIfAborted(signal);
}

/** A store that was made for a lease and has got no chunk is not kept. */
function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // There is something in it.
  }
}
