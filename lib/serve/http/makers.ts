/**
 * The stores that somebody writes to over HTTP. While makers are active each is held under a lease, so
 * that no gc removes chunks that they rely on (spec/formats/leases.md, spec/remote.md, "Uploads").
 */
import { CasError, isCasError } from '../../../formats/errors.ts';
import type { ObjectBackend } from '../../../store/backend.ts';
import { JointFlush } from '../joint-flush.ts';

/** A store under a shared lease. */
export interface LeasedStore {
  readonly backend: ObjectBackend;
  /** @throws CasError `LEASE_LOST` */
  confirm(): Promise<void>;
  /** Gives up lease and backend; never rejects. */
  close(): Promise<void>;
}

export interface StoreInUse {
  readonly backend: ObjectBackend;
  confirm(): Promise<void>;
  /** Resolves when everything that was put before is durable. */
  flush(): Promise<void>;
}

export interface MakersOptions {
  /** @throws CasError `LEASE_HELD` if a gc runs; StorageError */
  readonly open: (store: string) => Promise<LeasedStore>;
  /** How long a store stays leased that nobody uses. */
  readonly idleMs: number;
  /** Calls back again and again. @returns what stops it */
  readonly every: (ms: number, action: () => void) => () => void;
  /** Milliseconds. */
  readonly now: () => number;
}

interface Held {
  readonly opened: Promise<LeasedStore>;
  readonly inUse: Promise<StoreInUse>;
  userCount: number;
  usedAt: number;
  isGivenUp: boolean;
}

const MOST_STORES = 64;
const CHECKS_PER_IDLE_TIME = 10;
/** A refusal of these leaves the store as good as it was. */
const HARMLESS: ReadonlySet<string> = new Set(['ABORTED', 'OBJECT_MISSING']);

export class Makers {
  readonly #options: MakersOptions;
  readonly #held = new Map<string, Held>();
  readonly #closing = new Set<Promise<void>>();
  readonly #stop: () => void;

  constructor(options: MakersOptions) {
    this.#options = options;
    const { every, idleMs } = options;
    this.#stop = every(idleMs / CHECKS_PER_IDLE_TIME, () => this.#giveUpIdle());
  }

  /** The stores that makers use at the moment. */
  get stores(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** Whether the store can be used, or no folder for it is there. @throws as `use` */
  async isThere(store: string): Promise<boolean> {
    try {
      await this.use(store, async () => {});
      return true;
    } catch (error) {
      if (isCasError(error) && error.code === 'STORE_MISSING') return false;
      throw error;
    }
  }

  /**
   * Does something with a store that is leased meanwhile, and for some time after it. When the storage
   * fails, the next one gets the store opened anew.
   */
  async use<T>(store: string, work: (inUse: StoreInUse) => Promise<T>): Promise<T> {
    const held = this.#held.get(store) ?? this.#open(store);
    held.userCount++;
    try {
      return await work(await held.inUse);
    } catch (error) {
      if (!isCasError(error) || !HARMLESS.has(error.code)) this.#giveUp(store, held);
      throw error;
    } finally {
      held.userCount--;
      held.usedAt = this.#options.now();
      this.#closeIfUnused(held);
    }
  }

  /** Gives all stores up; who still uses one is waited for. */
  async close(): Promise<void> {
    this.#stop();
    for (const [store, held] of this.#held) this.#giveUp(store, held);
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }

  #open(store: string): Held {
    if (this.#held.size >= MOST_STORES) {
      throw new CasError('BUSY', { reason: 'too many stores in use', retry: 'later' });
    }
    const opened = this.#options.open(store);
    const inUse = opened.then(({ backend, confirm }) => {
      const flush = new JointFlush(() => backend.flush());
      return { backend, confirm, flush: () => flush.run() };
    });
    const usedAt = this.#options.now();
    const held = { opened, inUse, userCount: 0, usedAt, isGivenUp: false };
    this.#held.set(store, held);
    return held;
  }

  #giveUpIdle(): void {
    const { now, idleMs } = this.#options;
    for (const [store, held] of this.#held) {
      if (held.userCount === 0 && now() - held.usedAt >= idleMs) this.#giveUp(store, held);
    }
  }

  #giveUp(store: string, held: Held): void {
    if (this.#held.get(store) === held) this.#held.delete(store);
    held.isGivenUp = true;
    this.#closeIfUnused(held);
  }

  #closeIfUnused(held: Held): void {
    if (!held.isGivenUp || held.userCount > 0) return;
    const closing: Promise<void> = held.opened
      .then((store) => store.close())
      .catch(() => {})
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
