/**
 * Leases: who works in a store at the moment, so that no chunk is removed while somebody relies on it.
 * `make` holds a shared lease, `gc` an exclusive one. Works over any storage, and by the storage's
 * clock (spec/formats/leases.md).
 */
import { CasError, isCasError } from '../formats/errors.ts';
import type { ObjectBackend, SignalOption } from './backend.ts';
import {
  beatKey,
  claimKey,
  encodeHolder,
  type LeaseHolder,
  type LeaseKind,
  type ListedLease,
  listLeases,
  readHolder,
  revoke,
} from './lease-objects.ts';

export type { LeaseHolder } from './lease-objects.ts';

/** A holder of whom nothing is known but his signs of life is gone when they are this old. */
const EXPIRY_MS = 10 * 60_000;
/** How often signs of life are given. */
const BEAT_INTERVAL_MS = 60_000;
/** What was confirmed this short a time ago is believed without looking again. */
const RECENT_MS = EXPIRY_MS / 4;
const FIRST_POLL_MS = 50;
const LONGEST_POLL_MS = 1000;

export interface LeaseClock {
  /** Milliseconds that have passed, also while the machine slept; never goes back. */
  now(): number;
  /** Rejects if the signal fires. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
  /** Calls `action` again and again. @returns what stops it */
  every(ms: number, action: () => void): () => void;
}

export interface LeaseOptions extends SignalOption {
  readonly holder: LeaseHolder;
  /** Whether the holder's process lives; undefined if that cannot be known from here. */
  readonly isAlive: (holder: LeaseHolder) => boolean | undefined;
  /** 16 random hex digits, new ones each time. */
  readonly newId: () => string;
  readonly clock: LeaseClock;
  /** How long others are waited for. */
  readonly waitMs: number;
  /** Told once, before somebody is waited for. */
  readonly onWait?: (reason: string) => void;
}

export interface Lease {
  /** Holders of shared leases that an exclusive one had to wait for; undefined: one who did not say. */
  readonly awaited: readonly (LeaseHolder | undefined)[];
  /**
   * To be called before anything is done that relies on the lease and cannot be undone.
   * @throws CasError `LEASE_LOST` if somebody has taken the lease away
   */
  confirm(): Promise<void>;
  /** The same, at no cost if the last confirmation was a short time ago. */
  confirmRecent(): Promise<void>;
  /** @returns whether the lease was held until now. Never throws. */
  release(): Promise<boolean>;
}

/**
 * Takes a lease, after waiting for others if necessary.
 * @param backend makes objects visible at once; stays open
 * @throws CasError `LEASE_HELD` if others did not end within `waitMs`; StorageError `DENIED` if the
 * store cannot be written
 */
export function acquireLease(
  backend: ObjectBackend,
  kind: LeaseKind,
  options: LeaseOptions,
): Promise<Lease> {
  return new Acquisition(backend, kind, options).run();
}

/** `lost`: somebody has taken our claim away while we waited, or the storage does not list it. */
type Outcome = 'won' | 'yielded' | 'lost';

/** A lease that is in the way, and who has it. */
interface Obstacle {
  readonly lease: ListedLease;
  readonly holder: LeaseHolder | undefined;
}

class Acquisition {
  readonly #backend: ObjectBackend;
  readonly #kind: LeaseKind;
  readonly #options: LeaseOptions;
  readonly #deadline: number;
  readonly #awaited = new Map<string, LeaseHolder | undefined>();
  #pollMs = FIRST_POLL_MS;
  #hasTold = false;

  constructor(backend: ObjectBackend, kind: LeaseKind, options: LeaseOptions) {
    this.#backend = backend;
    this.#kind = kind;
    this.#options = options;
    this.#deadline = options.clock.now() + options.waitMs;
  }

  async run(): Promise<Lease> {
    for (;;) {
      const lease = new HeldLease(this.#backend, this.#kind, this.#options);
      let outcome: Outcome;
      try {
        await lease.claim();
        outcome = await this.#settle(lease);
      } catch (error) {
        await lease.release();
        throw error;
      }
      if (outcome === 'won') return lease.begin([...this.#awaited.values()]);
      await lease.release();
      if (outcome === 'lost') await this.#wait([]);
      else await this.#waitUntilFree();
    }
  }

  /**
   * Whether nobody else is there. A shared lease gives way to an exclusive one at once, even if that
   * is still waiting itself. An exclusive one stays while it waits, so that no new shared ones come;
   * of several the one with the smallest id does.
   */
  async #settle(own: HeldLease): Promise<Outcome> {
    for (;;) {
      const obstacles = await this.#obstacles(own);
      if (obstacles === undefined) return 'lost';
      if (obstacles.length === 0) return 'won';
      const hasRival = obstacles.some(
        ({ lease }) => lease.kind === 'exclusive' && lease.id < own.id,
      );
      if (this.#kind === 'shared' || hasRival) return 'yielded';
      for (const { lease, holder } of obstacles) {
        if (lease.kind === 'shared') this.#awaited.set(lease.id, holder);
      }
      await this.#wait(obstacles);
      await own.confirmRecent();
    }
  }

  /** Resolves when it is worth another try. Nothing is written meanwhile. */
  async #waitUntilFree(): Promise<void> {
    for (let tries = 0; tries < 10; tries++) {
      const leases = (await listLeases(this.#backend)).filter(({ kind }) => kind === 'exclusive');
      const obstacles: Obstacle[] = [];
      for (const lease of leases) {
        const holder = await readHolder(this.#backend, lease);
        const isGone = holder === 'gone' || (holder && this.#options.isAlive(holder) === false);
        if (!isGone) obstacles.push({ lease, holder });
      }
      if (obstacles.length === 0) return;
      await this.#wait(obstacles);
    }
  }

  /**
   * The leases of others that are in the way and alive. Removes those that are not.
   * @returns undefined if somebody has removed ours
   */
  async #obstacles(own: HeldLease): Promise<readonly Obstacle[] | undefined> {
    const leases = await listLeases(this.#backend);
    const mine = leases.find(({ id }) => id === own.id);
    if (mine === undefined) return undefined;
    const obstacles: Obstacle[] = [];
    for (const lease of leases) {
      if (lease.id === own.id) continue;
      if (this.#kind === 'shared' && lease.kind === 'shared') continue;
      const holder = await readHolder(this.#backend, lease);
      if (holder === 'gone') continue;
      const isStale = this.#isStale(lease, holder, mine.modifiedMs);
      if (isStale && (await revoke(this.#backend, lease))) continue;
      obstacles.push({ lease, holder });
    }
    return obstacles;
  }

  /** @param nowMs by the clock of the storage: the time of our own latest sign of life */
  #isStale(lease: ListedLease, holder: LeaseHolder | undefined, nowMs: number): boolean {
    const isAlive = holder && this.#options.isAlive(holder);
    if (isAlive !== undefined) return !isAlive;
    return nowMs - lease.modifiedMs > EXPIRY_MS;
  }

  async #wait(obstacles: readonly Obstacle[]): Promise<void> {
    const { clock, signal, onWait } = this.#options;
    const reason = `in use by ${obstacles.map(describe).join(', ') || 'somebody'}`;
    if (obstacles.length > 0) {
      if (!this.#hasTold) onWait?.(reason);
      this.#hasTold = true;
    }
    const leftMs = this.#deadline - clock.now();
    if (leftMs <= 0) {
      throw new CasError('LEASE_HELD', { subject: this.#backend.label, reason, retry: 'later' });
    }
    await clock.sleep(Math.min(this.#pollMs, leftMs), signal);
    this.#pollMs = Math.min(this.#pollMs * 1.5, LONGEST_POLL_MS);
  }
}

function describe({ lease, holder }: Obstacle): string {
  const verb = lease.kind === 'shared' ? 'make' : 'gc';
  if (holder === undefined) return `an unknown ${verb}`;
  return `${verb} (process ${holder.processId} on ${holder.host})`;
}

class HeldLease implements Lease {
  readonly id: string;
  readonly #backend: ObjectBackend;
  readonly #kind: LeaseKind;
  readonly #clock: LeaseClock;
  readonly #text: Uint8Array;
  #awaited: readonly (LeaseHolder | undefined)[] = [];
  #confirmedAt = 0;
  #hasBeaten = false;
  #isLost = false;
  #isOver = false;
  #beating: Promise<unknown> = Promise.resolve();
  #stopBeating: () => void = () => {};

  constructor(backend: ObjectBackend, kind: LeaseKind, options: LeaseOptions) {
    this.id = options.newId();
    this.#backend = backend;
    this.#kind = kind;
    this.#clock = options.clock;
    this.#text = encodeHolder(options.holder);
  }

  get awaited(): readonly (LeaseHolder | undefined)[] {
    return this.#awaited;
  }

  /** Says that we are there; whether we may stay depends on the others. */
  async claim(): Promise<void> {
    this.#confirmedAt = this.#clock.now();
    await this.#put(claimKey(this.id, this.#kind));
  }

  /** From now on the lease is held. */
  begin(awaited: readonly (LeaseHolder | undefined)[]): Lease {
    this.#awaited = awaited;
    this.#stopBeating = this.#clock.every(BEAT_INTERVAL_MS, () => {
      // What fails now is found out by the next confirmation.
      this.#beating = this.#beating.then(() => this.#beat()).catch(() => {});
    });
    return this;
  }

  async confirm(): Promise<void> {
    await this.#beating;
    do {
      this.#confirmedAt = this.#clock.now();
      await this.#beat();
      // In this order: see `revoke`.
      this.#isLost ||= !(await this.#isClaimed());
      if (this.#isLost) {
        const reason = 'the lease was taken over by somebody else, because we gave no sign of life';
        throw new CasError('LEASE_LOST', { subject: this.#backend.label, reason });
      }
      // If this took long, the sign of life is an old one already.
    } while (!this.#isRecent());
  }

  async confirmRecent(): Promise<void> {
    if (this.#isLost || !this.#isRecent()) await this.confirm();
  }

  #isRecent(): boolean {
    return this.#clock.now() - this.#confirmedAt < RECENT_MS;
  }

  async release(): Promise<boolean> {
    this.#stopBeating();
    await this.#beating;
    if (this.#isOver) return !this.#isLost;
    this.#isOver = true;
    try {
      this.#isLost ||= !(await this.#isClaimed());
      if (this.#hasBeaten) await this.#backend.remove(beatKey(this.id, this.#kind));
      await this.#backend.remove(claimKey(this.id, this.#kind));
    } catch (error) {
      // What stays is stale as soon as this process ends.
      if (!isCasError(error)) throw error;
    }
    return !this.#isLost;
  }

  async #beat(): Promise<void> {
    if (this.#isOver) return;
    this.#hasBeaten = true;
    await this.#put(beatKey(this.id, this.#kind));
  }

  async #isClaimed(): Promise<boolean> {
    return this.#backend.has([claimKey(this.id, this.#kind)]);
  }

  async #put(key: string): Promise<void> {
    await this.#backend.put(key, this.#text);
    await this.#backend.flush();
  }
}
