/**
 * A block device of the kernel that this process serves (spec/nbd.md, "Kernel devices"). The device is
 * gone when the process is, however it ends. Used by mkdev.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isCasError } from '../../../formats/errors.ts';
import type { SignalOption } from '../../../store/backend.ts';
import { abortedError } from '../../errors.ts';
import { MOST_DEVICES, type NbdSystem } from '../../os/nbd-device.node.ts';
import { errnoOf, systemFailure } from '../../os/system-error.node.ts';

/** Block size of the devices; their size is a multiple of it. */
export const SECTOR_SIZE = 512;

/** How the kernel's requests are answered. */
interface Transmission {
  /** Ends the connection; requests under way fail. Resolves when nothing uses the socket. */
  close(): Promise<void>;
}

export interface AttachOptions extends SignalOption {
  /** Which device; the first free one if left out. */
  readonly number?: number;
  /** Bytes, a multiple of {@link SECTOR_SIZE}. */
  readonly size: number;
  /** Flags of NBD's transmission phase: what the kernel may ask for. */
  readonly flags: number;
  /**
   * The device is ours, and appears soon.
   * @returns undoes it; called before others can take the device
   */
  readonly onClaimed: (number: number) => Promise<() => void>;
  /** From now on the kernel speaks NBD's transmission phase on this socket, which is the callee's. */
  readonly serve: (socket: number) => Transmission;
  /**
   * Stays in the kernel until the device is disconnected: `holdDevice`, on a thread. Resolves to 0, or to
   * the number of what went wrong.
   */
  readonly hold: (device: number) => Promise<number>;
}

export interface AttachedDevice {
  readonly number: number;
  /** Of the device, for as long as it is attached. */
  readonly descriptor: number;
  /** Settles when the device is gone and all is undone. @throws CasError if the connection broke */
  readonly ended: Promise<void>;
  /** Takes the device away, also from those who use it. */
  detach(): void;
}

/** A device needs a few milliseconds to appear, and a thread to start; what takes this long has failed. */
const LONGEST_START_MS = 60_000;
/** Between two looks. */
const LOOK_MS = 2;
/** How long others may need to let go of a device that was disconnected. */
const LONGEST_RELEASE_MS = 2000;
const RELEASE_LOOK_MS = 20;
/** What the kernel says of a device that others have taken, or not let go of yet. */
const TAKEN: ReadonlySet<string | undefined> = new Set(['EBUSY', 'EINVAL']);
/** What it says of one that it does not have. */
const ABSENT: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENXIO', 'ENODEV']);

/** Whether a failure means that the kernel does not have the device. */
export function isAbsentDevice(error: unknown): boolean {
  return ABSENT.has(errnoOf(error));
}

/**
 * Attaches a device; resolves when it has appeared with its size.
 * @throws CasError, and nothing is left; its cause is `ENOENT` where there are no devices, `EBUSY` where
 * none is free
 */
export async function attachDevice(
  system: NbdSystem,
  options: AttachOptions,
): Promise<AttachedDevice> {
  const { number } = options;
  if (number !== undefined) return attachThis(system, number, options);
  let failure: unknown;
  for (let candidate = 0; candidate < MOST_DEVICES; candidate++) {
    try {
      return await attach(system, candidate, options);
    } catch (error) {
      const errno = errnoOf(error);
      if (!isAbsentDevice(error) && !TAKEN.has(errno)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

/** Others may hold a device open for a moment, to see what is on it. */
async function attachThis(
  system: NbdSystem,
  number: number,
  options: AttachOptions,
): Promise<AttachedDevice> {
  const deadline = performance.now() + LONGEST_RELEASE_MS;
  for (;;) {
    try {
      return await attach(system, number, options);
    } catch (error) {
      const isHopeless = !TAKEN.has(errnoOf(error)) || system.isConnected(number);
      if (isHopeless || performance.now() > deadline) throw error;
    }
    await sleep(RELEASE_LOOK_MS);
  }
}

async function attach(
  system: NbdSystem,
  number: number,
  options: AttachOptions,
): Promise<AttachedDevice> {
  const { signal, size, flags } = options;
  if (signal?.aborted) throw abortedError();
  // Asking the device itself would make the kernel complain in its log.
  if (system.isConnected(number)) throw systemFailure('open', 'EBUSY', `/dev/nbd${number}`);
  const attempt = new Attempt(system, number, options);
  try {
    await attempt.claim();
    system.clearReadOnly(attempt.descriptor);
    system.request(attempt.descriptor, 'setBlockSize', SECTOR_SIZE);
    system.request(attempt.descriptor, 'setBlockCount', size / SECTOR_SIZE);
    system.request(attempt.descriptor, 'setFlags', flags);
    attempt.start();
    await attempt.untilThere();
    return attempt;
  } catch (error) {
    await attempt.abandon();
    throw error;
  }
}

/** One device on its way from open to closed. */
class Attempt implements AttachedDevice {
  readonly number: number;
  readonly descriptor: number;
  readonly ended: Promise<void>;
  readonly #system: NbdSystem;
  readonly #options: AttachOptions;
  /** To be undone when the device is taken away; last first. */
  readonly #undo: (() => void)[] = [];
  #socket: number | undefined;
  #transmission: Transmission | undefined;
  #held: Promise<void> | undefined;
  #isReleased = false;
  #isOver = false;
  #settle: (outcome: Promise<void>) => void = () => {};

  /** @throws CasError if the device cannot be opened */
  constructor(system: NbdSystem, number: number, options: AttachOptions) {
    this.number = number;
    this.#system = system;
    this.#options = options;
    this.descriptor = system.open(number);
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    // Who never asks must not be told.
    this.ended.catch(() => {});
  }

  /** The kernel gives the device to the first that comes with a socket. */
  async claim(): Promise<void> {
    const system = this.#system;
    const { ours, theirs } = system.socketPair();
    this.#socket = ours;
    try {
      system.request(this.descriptor, 'setSocket', theirs);
    } finally {
      system.close(theirs);
    }
    this.#undo.push(() => {
      quietly(() => system.request(this.descriptor, 'disconnect'));
      quietly(() => system.request(this.descriptor, 'clearSocket'));
    });
    this.#undo.push(await this.#options.onClaimed(this.number));
  }

  start(): void {
    const socket = this.#socket;
    if (socket === undefined) throw new TypeError('not claimed');
    this.#transmission = this.#options.serve(socket);
    this.#socket = undefined;
    this.#held = this.#options.hold(this.descriptor).then((errno) => {
      if (errno !== 0) throw systemFailure('serve', errno);
    });
    const over = (): void => {
      this.#isOver = true;
      void this.#finish();
    };
    this.#held.then(over, over);
  }

  /** Resolves when the device can be used. */
  async untilThere(): Promise<void> {
    const { signal, size } = this.#options;
    const deadline = performance.now() + LONGEST_START_MS;
    for (;;) {
      if (signal?.aborted) throw abortedError();
      if (this.#isOver) {
        await this.#held;
        throw systemFailure('serve', 'EIO');
      }
      const isThere = this.#system.isConnected(this.number);
      if (isThere && this.#system.size(this.descriptor) === size) return;
      if (performance.now() > deadline) throw systemFailure('serve', 'ETIMEDOUT');
      await sleep(LOOK_MS);
    }
  }

  detach(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    for (const undo of this.#undo.splice(0).reverse()) undo();
    void this.#finish();
  }

  /** Gives up on what may be half done. */
  async abandon(): Promise<void> {
    this.detach();
    await this.ended.catch(() => {});
  }

  #isFinishing = false;

  async #finish(): Promise<void> {
    if (this.#isFinishing) return;
    this.#isFinishing = true;
    // Taken away by us it may end as it likes.
    const wasWanted = this.#isReleased;
    this.detach();
    await this.#transmission?.close();
    // The thread may not have begun yet: until it is back, the descriptor is in use.
    const outcome = this.#held ?? Promise.resolve();
    await outcome.catch(() => {});
    if (this.#socket !== undefined) this.#system.close(this.#socket);
    this.#system.close(this.descriptor);
    this.#settle(wasWanted ? Promise.resolve() : outcome);
  }
}

function quietly(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (!isCasError(error)) throw error;
  }
}
