/**
 * A disk whose power can be cut: what was written since the last sync is then there or not, each sector
 * for itself, in any version that it has had. For tests of what survives a crash.
 */
import { CasError } from '../../formats/errors.ts';
import type { OverlayFile } from '../../lib/serve/nbd/overlay-file.ts';

export const SECTOR_LENGTH = 512;
/** In turns of the program. */
const LONGEST_CALL = 12;
const LONGEST_SYNC = 80;
const ZERO_SECTOR = new Uint8Array(SECTOR_LENGTH);

/** A number from 0 up to `limit`, without it. */
export type Random = (limit: number) => number;

/** Repeatable. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

export interface SimulatedDiskOptions {
  /** Calls that change something before the power is cut. */
  readonly callsLeft?: number;
  /** Offset from which on sectors are written whole or not at all; before it, they may be torn. */
  readonly tornBelow: number;
  readonly random: Random;
}

export interface DiskState {
  readonly durable: ReadonlyMap<number, Uint8Array>;
  /** All versions of sectors since the last sync, the durable one first. */
  readonly pending: ReadonlyMap<number, Uint8Array[]>;
}

/** A disk on which everything is durable. */
export function diskWith(durable: ReadonlyMap<number, Uint8Array>): DiskState {
  return { durable, pending: new Map() };
}

export class SimulatedDisk implements OverlayFile {
  readonly label = 'simulated';
  readonly size: number;
  readonly #pending: Map<number, Uint8Array[]>;
  readonly #durable: Map<number, Uint8Array>;
  readonly #options: SimulatedDiskOptions;
  #callsLeft: number;
  /** Calls that changed something. */
  callCount = 0;

  constructor(size: number, state: DiskState, options: SimulatedDiskOptions) {
    this.size = size;
    this.#durable = new Map(state.durable);
    this.#pending = new Map(state.pending);
    this.#options = options;
    this.#callsLeft = options.callsLeft ?? Number.POSITIVE_INFINITY;
  }

  get isOff(): boolean {
    return this.#callsLeft <= 0;
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#pause();
    for (let done = 0; done < into.length; ) {
      const at = offset + done;
      const within = at % SECTOR_LENGTH;
      const count = Math.min(SECTOR_LENGTH - within, into.length - done);
      const sector = this.#sector((at - within) / SECTOR_LENGTH);
      into.set(sector.subarray(within, within + count), done);
      done += count;
    }
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#spend();
    // Cut off in the middle, as by a signal.
    const length = this.isOff ? this.#cut(offset, bytes.length) : bytes.length;
    this.#apply(offset, bytes.subarray(0, length));
    await this.#pause();
    this.#checkPower();
  }

  async release(offset: number, length: number): Promise<void> {
    await this.write(offset, new Uint8Array(length));
  }

  async reserve(): Promise<void> {
    this.#spend();
    await this.#pause();
    this.#checkPower();
  }

  async sync(): Promise<void> {
    this.#spend();
    const begun = [...this.#pending].map(([sector, { length }]) => ({ sector, last: length - 1 }));
    await this.#pause(LONGEST_SYNC);
    this.#checkPower();
    // What was written meanwhile is not in it.
    for (const { sector, last } of begun) {
      const versions = (this.#pending.get(sector) ?? []).slice(last);
      this.#durable.set(sector, versions[0]);
      if (versions.length > 1) this.#pending.set(sector, versions);
      else this.#pending.delete(sector);
    }
  }

  nextData(offset: number): number | undefined {
    const sectors = [...this.#durable.keys(), ...this.#pending.keys()];
    const behind = sectors.filter((sector) => (sector + 1) * SECTOR_LENGTH > offset);
    if (behind.length === 0) return undefined;
    return Math.max(offset, Math.min(...behind) * SECTOR_LENGTH);
  }

  close(): void {}

  /** What is on the disk when the power is back. */
  afterPowerCut(): DiskState {
    const { random, tornBelow } = this.#options;
    const left = new Map(this.#durable);
    // Mixtures of everything are many; these are the ones that matter most.
    const kind = random(4);
    for (const [sector, versions] of this.#pending) {
      const isLow = sector * SECTOR_LENGTH < tornBelow;
      const isNew = kind === 0 ? isLow : !isLow;
      const chosen =
        kind < 2 ? versions[isNew ? versions.length - 1 : 0] : versions[random(versions.length)];
      const isTorn = kind === 3 && isLow && random(4) === 0;
      const other = versions[random(versions.length)];
      left.set(sector, isTorn ? torn(other, versions[0], random(SECTOR_LENGTH)) : chosen);
    }
    return diskWith(left);
  }

  /** What there is when only the process has died. */
  afterKill(): DiskState {
    return { durable: this.#durable, pending: this.#pending };
  }

  #sector(number: number): Uint8Array {
    return this.#pending.get(number)?.at(-1) ?? this.#durable.get(number) ?? ZERO_SECTOR;
  }

  #apply(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const within = at % SECTOR_LENGTH;
      const number = (at - within) / SECTOR_LENGTH;
      const part = bytes.subarray(done, done + SECTOR_LENGTH - within);
      const before = this.#sector(number);
      const after = before.slice();
      after.set(part, within);
      this.#pending.set(number, [...(this.#pending.get(number) ?? [before]), after]);
      done += part.length;
    }
  }

  /** Calls that overlap end in any order. */
  async #pause(longest = LONGEST_CALL): Promise<void> {
    for (let left = this.#options.random(longest); left >= 0; left--) await undefined;
  }

  #cut(offset: number, length: number): number {
    const cut = this.#options.random(length + 1);
    if (offset < this.#options.tornBelow) return cut;
    return Math.max(0, cut - ((offset + cut) % SECTOR_LENGTH));
  }

  #spend(): void {
    this.#checkPower();
    this.callCount++;
    this.#callsLeft--;
  }

  #checkPower(): void {
    if (this.isOff) throw new CasError('IO', { subject: this.label, reason: 'power cut' });
  }
}

function torn(first: Uint8Array, second: Uint8Array, at: number): Uint8Array {
  const mixed = first.slice();
  mixed.set(second.subarray(at), at);
  return mixed;
}
