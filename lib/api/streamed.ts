/** Turns work that gives items away into a stream of them, for results that do not fit into memory. */

/** Gives an item away; returns a promise to wait for when the taker is behind. */
export type Give<Item> = (item: Item) => Promise<void> | undefined;

/** Items that may wait to be taken. */
const MOST_WAITING = 1024;

/** Items on their way from one side to the other; at most one of the sides waits. */
class Channel<Item> {
  #items: Item[] = [];
  #isEnded = false;
  #isClosed = false;
  #wakeGiver: (() => void) | undefined;
  #wakeTaker: (() => void) | undefined;

  give(item: Item): Promise<void> | undefined {
    if (this.#isClosed) return undefined;
    this.#items.push(item);
    this.#wakeTaker?.();
    if (this.#items.length < MOST_WAITING) return undefined;
    return new Promise<void>((resolve) => {
      this.#wakeGiver = resolve;
    });
  }

  /** Says that no item follows. */
  end(): void {
    this.#isEnded = true;
    this.#wakeTaker?.();
  }

  /** Says that no item is wanted any more. */
  close(): void {
    this.#isClosed = true;
    this.#wakeGiver?.();
  }

  /** The next items; none at the end. */
  async take(): Promise<readonly Item[]> {
    if (this.#items.length === 0 && !this.#isEnded) {
      await new Promise<void>((resolve) => {
        this.#wakeTaker = resolve;
      });
      this.#wakeTaker = undefined;
    }
    const items = this.#items;
    this.#items = [];
    this.#wakeGiver?.();
    return items;
  }
}

/**
 * The items that `produce` gives, in order. It begins when the first of them is
 * asked for, and has ended when the stream has.
 * @param produce its signal fires when nobody wants more, too
 * @throws what `produce` throws
 */
export async function* streamed<Item>(
  produce: (give: Give<Item>, signal: AbortSignal) => Promise<void>,
  signal?: AbortSignal,
): AsyncGenerator<Item, void, undefined> {
  const channel = new Channel<Item>();
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  let failure: { readonly error: unknown } | undefined;
  const ended = produce((item) => channel.give(item), either)
    .catch((error: unknown) => {
      failure = { error };
    })
    .finally(() => channel.end());
  try {
    for (let items = await channel.take(); items.length > 0; items = await channel.take()) {
      for (const item of items) yield item;
    }
    if (failure !== undefined) throw failure.error;
  } finally {
    channel.close();
    stop.abort();
    await ended;
  }
}
