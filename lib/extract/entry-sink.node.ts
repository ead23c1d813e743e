/**
 * Where simple entries go, piece by piece, on their way into their directory. Used by tree.node.ts.
 */
import { PipelineError } from '../errors.ts';
import { completeReplacements } from './replacement.node.ts';
import { restoreSimple, type SimpleEntry, type SimpleRules } from './simple-entry.node.ts';
import type { OpenDirectory } from './tree-directories.node.ts';

/** Takes one entry after the other. What is thrown is a PipelineError without subject. */
export interface EntrySink {
  /**
   * To be asked before `begin`.
   * @returns undefined if there is room for the entry, else a promise of room to ask for again
   */
  room(nameLength: number, size: number): Promise<void> | undefined;
  /**
   * @param size bytes of content that will come, exactly.
   * @param order rises from entry to entry.
   */
  begin(place: OpenDirectory, entry: SimpleEntry, size: number, order: number): void;
  /** The next bytes of the content; they may be reused afterwards. */
  write(bytes: Uint8Array): void;
  end(): void;
  /** An entry, of any number ago, could not be restored; {@link settle} says why. */
  readonly hasFailed: boolean;
  /** Whether anything is still to be restored, or has failed. */
  readonly isBusy: boolean;
  /**
   * Waits until everything that was ended is restored, and forgets what was begun only.
   * @throws CasError of the first entry in order that failed
   */
  settle(): Promise<void>;
  /** Waits until nothing is going on, without beginning anything. */
  abandon(): Promise<void>;
  /** Makes it fail, because of something that came at this place in the order. */
  fail(order: number, error: unknown): void;
}

interface Current {
  readonly place: OpenDirectory;
  readonly entry: SimpleEntry;
  readonly size: number;
  filled: number;
  isDone: boolean;
}

/** Restores each entry as soon as its content is there. */
export class DirectSink implements EntrySink {
  readonly hasFailed = false;
  readonly isBusy = false;
  readonly #rules: SimpleRules;
  /** For content that comes in pieces. */
  #stage = new Uint8Array(0);
  #current: Current | undefined;

  constructor(rules: SimpleRules) {
    this.#rules = rules;
  }

  room(): undefined {}

  begin(place: OpenDirectory, entry: SimpleEntry, size: number): void {
    this.#current = { place, entry, size, filled: 0, isDone: false };
  }

  write(bytes: Uint8Array): void {
    const current = this.#needed();
    const filled = current.filled + bytes.length;
    if (filled > current.size) throw wrongLength();
    if (bytes.length === current.size) this.#restore(current, bytes);
    else {
      if (this.#stage.length < current.size) this.#stage = new Uint8Array(2 * current.size);
      this.#stage.set(bytes, current.filled);
    }
    current.filled = filled;
  }

  end(): void {
    const current = this.#needed();
    const { filled, size, isDone } = current;
    if (filled !== size) throw wrongLength();
    if (!isDone) this.#restore(current, this.#stage.subarray(0, size));
    this.#current = undefined;
  }

  async settle(): Promise<void> {}

  async abandon(): Promise<void> {}

  fail(_order: number, error: unknown): void {
    throw error;
  }

  #restore(current: Current, content: Uint8Array): void {
    current.isDone = true;
    const { place, entry } = current;
    const replacement = restoreSimple(place, entry, content, this.#rules);
    if (replacement === undefined) return;
    const failure = completeReplacements([replacement]);
    if (failure !== undefined) throw failure.error;
  }

  #needed(): Current {
    if (this.#current === undefined) throw new TypeError('no entry was begun');
    return this.#current;
  }
}

/** Also for the content of entries that are not simple. */
export function wrongLength(): PipelineError {
  const reason = 'the content is not as long as announced';
  return new PipelineError('SOURCE_CHANGED', { step: 'write', reason });
}
