/**
 * Where simple entries go, piece by piece, on their way into their directory. Used by tree.node.ts.
 */
import { PipelineError } from '../errors.ts';
import { restoreSimple, type SimpleEntry, type SimplePlace } from './simple-entry.node.ts';

/** Takes one entry after the other. All methods throw PipelineErrors without subject. */
export interface EntrySink {
  /** @param size bytes of content that will come, exactly. */
  begin(place: SimplePlace, entry: SimpleEntry, size: number): void;
  /** The next bytes of the content; they may be reused afterwards. */
  write(bytes: Uint8Array): void;
  end(): void;
}

interface Current {
  readonly place: SimplePlace;
  readonly entry: SimpleEntry;
  readonly size: number;
  filled: number;
  isDone: boolean;
}

/** Restores each entry as soon as its content is there. */
export class DirectSink implements EntrySink {
  readonly #punchHoles: boolean;
  /** For content that comes in pieces. */
  #stage = new Uint8Array(0);
  #current: Current | undefined;

  constructor(punchHoles: boolean) {
    this.#punchHoles = punchHoles;
  }

  begin(place: SimplePlace, entry: SimpleEntry, size: number): void {
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

  #restore(current: Current, content: Uint8Array): void {
    current.isDone = true;
    restoreSimple(current.place, current.entry, content, this.#punchHoles);
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
