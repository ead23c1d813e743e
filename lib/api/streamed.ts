/** Turns work that gives items away into a stream of them, for results that do not fit into memory. */

/** Gives an item away; returns a promise to wait for when the taker is behind. */
export type Give<Item> = (item: Item) => Promise<void> | undefined;

/** Begins the work; the signal fires when nobody wants more. */
type Produce<Item> = (give: Give<Item>, signal: AbortSignal) => Promise<void>;

/** Items that may wait to be taken; few, because what waits is moved about by the garbage collector. */
const MOST_WAITING = 64;

/**
 * Taken one by one, without a generator: that would cost as much as reading an entry of an archive.
 * Items lie in one array while they are taken and in another one while they are given.
 */
class Stream<Item> implements AsyncIterableIterator<Item, undefined> {
  readonly #produce: Produce<Item>;
  readonly #signal: AbortSignal | undefined;
  readonly #stop = new AbortController();
  #taken: Item[] = [];
  #position = 0;
  #given: Item[] = [];
  #ended: Promise<void> | undefined;
  #isEnded = false;
  #failure: { readonly error: unknown } | undefined;
  #wakeGiver: (() => void) | undefined;
  #wakeTaker: (() => void) | undefined;

  constructor(produce: Produce<Item>, signal: AbortSignal | undefined) {
    this.#produce = produce;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    if (this.#position === this.#taken.length) return this.#nextOfMore();
    return Promise.resolve({ done: false, value: this.#taken[this.#position++] });
  }

  /** Ends the work, whose failure nobody wants to know any more. */
  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#stop.abort();
    this.#wakeGiver?.();
    await this.#ended;
    this.#taken = [];
    this.#given = [];
    this.#position = 0;
    this.#failure = undefined;
    this.#isEnded = true;
    return { done: true, value: undefined };
  }

  async #nextOfMore(): Promise<IteratorResult<Item, undefined>> {
    this.#ended ??= this.#begin();
    while (this.#given.length === 0) {
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure !== undefined) throw failure.error;
      if (this.#isEnded) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wakeTaker = resolve;
      });
    }
    this.#taken = this.#given;
    this.#given = [];
    this.#position = 1;
    this.#wakeGiver?.();
    return { done: false, value: this.#taken[0] };
  }

  async #begin(): Promise<void> {
    const { signal } = this.#stop;
    const either = this.#signal ? AbortSignal.any([this.#signal, signal]) : signal;
    try {
      if (!this.#isEnded) await this.#produce((item) => this.#give(item), either);
    } catch (error) {
      this.#failure = { error };
    }
    this.#isEnded = true;
    this.#wakeTaker?.();
  }

  #give(item: Item): Promise<void> | undefined {
    if (this.#stop.signal.aborted) return undefined;
    this.#given.push(item);
    if (this.#given.length === 1) this.#wakeTaker?.();
    if (this.#given.length < MOST_WAITING) return undefined;
    return new Promise<void>((resolve) => {
      this.#wakeGiver = resolve;
    });
  }
}

/**
 * The items that `produce` gives, in order. It begins when the first of them is asked for, and has
 * ended when the stream has.
 * @throws what `produce` throws, when all items before have been taken
 */
export function streamed<Item>(
  produce: Produce<Item>,
  signal?: AbortSignal,
): AsyncIterableIterator<Item, undefined> {
  return new Stream(produce, signal);
}
