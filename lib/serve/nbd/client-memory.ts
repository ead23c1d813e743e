/**
 * How much memory data on its way takes, shared by all clients of the NBD server: a client that does
 * not read its answers holds what it has, and keeps nobody else from getting on.
 */
import { abortedError } from '../../errors.ts';
import { PIECE_BYTES } from './limits.ts';

interface Waiter {
  readonly size: number;
  readonly grant: () => void;
  readonly fail: (error: unknown) => void;
}

export interface SharedMemoryLimits {
  readonly totalBytes: number;
  readonly clientBytes: number;
}

export class SharedMemory {
  readonly #limits: SharedMemoryLimits;
  #used = 0;
  /** Those who wait, in the order of their turns. */
  readonly #waiting = new Set<ClientMemory>();

  constructor(limits: SharedMemoryLimits) {
    this.#limits = limits;
  }

  /** Bytes that are taken. */
  get used(): number {
    return this.#used;
  }

  /** The part of one client. */
  client(): ClientMemory {
    const { clientBytes } = this.#limits;
    return new ClientMemory({
      take: (size, used) => {
        // Whoever has nothing gets a piece at any time.
        const isFit =
          (used === 0 && size <= PIECE_BYTES) ||
          (used + size <= clientBytes && this.#used + size <= this.#limits.totalBytes);
        if (isFit) this.#used += size;
        return isFit;
      },
      give: (size) => {
        this.#used -= size;
      },
      setWaiting: (client, isWaiting) => {
        if (isWaiting) this.#waiting.add(client);
        else this.#waiting.delete(client);
      },
      wake: () => {
        for (const client of this.#waiting) {
          if (!client.grantNext()) continue;
          // Behind the others; those who still wait are visited again.
          if (this.#waiting.delete(client)) this.#waiting.add(client);
        }
      },
    });
  }
}

/** What a client's part needs of the whole. */
interface Shared {
  take(size: number, used: number): boolean;
  give(size: number): void;
  setWaiting(client: ClientMemory, isWaiting: boolean): void;
  wake(): void;
}

export class ClientMemory {
  readonly #shared: Shared;
  readonly #queue: Waiter[] = [];
  #used = 0;
  #isClosed = false;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Takes `size` bytes if they are to be had now. */
  tryTake(size: number): boolean {
    if (this.#isClosed || this.#queue.length > 0) return false;
    if (!this.#shared.take(size, this.#used)) return false;
    this.#used += size;
    return true;
  }

  /**
   * Takes `size` bytes; undefined if they were there.
   * @param size at most `PIECE_BYTES`: a client that has nothing gets them at once
   * @throws CasError `ABORTED` when the client has gone
   */
  take(size: number): Promise<void> | undefined {
    if (this.tryTake(size)) return undefined;
    if (this.#isClosed) return Promise.reject(abortedError());
    return new Promise((grant, fail) => {
      this.#queue.push({ size, grant, fail });
      this.#shared.setWaiting(this, true);
    });
  }

  give(size: number): void {
    this.#used -= size;
    this.#shared.give(size);
    this.#shared.wake();
  }

  /** Lets the first one who waits go on, if it can. */
  grantNext(): boolean {
    const [first] = this.#queue;
    if (first === undefined || !this.#shared.take(first.size, this.#used)) return false;
    this.#used += first.size;
    this.#queue.shift();
    if (this.#queue.length === 0) this.#shared.setWaiting(this, false);
    first.grant();
    return true;
  }

  /** The client has gone: nobody waits any more. What was taken is still to be given back. */
  close(): void {
    this.#isClosed = true;
    this.#shared.setWaiting(this, false);
    for (const { fail } of this.#queue.splice(0)) fail(abortedError());
  }
}
