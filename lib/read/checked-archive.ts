/**
 * The bytes of an archive on their way to somewhere else, checked as they pass: what arrives is a valid
 * archive and nothing else. Used by put.
 */
import { CatarParser } from '../../formats/catar-parser.ts';
import { about } from '../../formats/errors.ts';

export interface CheckedArchive {
  /** Of the whole archive. */
  readonly featureFlags: bigint;
  /** Its bytes, valid until the next are taken. What follows the archive is left out. */
  readonly pieces: AsyncIterable<Uint8Array>;
}

/**
 * Reads the begin of an archive.
 * @param pieces all of its bytes, each valid until the next is taken
 * @param label for messages
 * @throws FormatError named after the label, now or while the pieces are taken
 */
export async function openCheckedArchive(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  label: string,
): Promise<CheckedArchive> {
  const reader = new CheckedReader(pieces, label);
  return { featureFlags: await reader.readBegin(), pieces: reader };
}

class CheckedReader implements AsyncIterable<Uint8Array> {
  readonly #pieces: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  readonly #label: string;
  readonly #parser = new CatarParser();
  /** What was read to know the feature flags. */
  readonly #begin: Uint8Array[] = [];

  constructor(pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, label: string) {
    this.#pieces =
      Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
    this.#label = label;
  }

  /** Bounded by the limits of the parser: the metadata of one node and one piece. */
  async readBegin(): Promise<bigint> {
    for (;;) {
      const piece = await this.#next();
      const { featureFlags, length } = this.#check(piece);
      this.#begin.push(new Uint8Array(piece.subarray(0, length)));
      if (featureFlags !== undefined) return featureFlags;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      yield* this.#begin.splice(0);
      while (!this.#parser.done) {
        const piece = await this.#next();
        yield piece.subarray(0, this.#check(piece).length);
      }
    } finally {
      await this.#pieces.return?.();
    }
  }

  /** The next piece, if there is one; without it the archive must be complete, which it is not. */
  async #next(): Promise<Uint8Array> {
    const { done, value } = await this.#pieces.next();
    if (done !== true) return value;
    this.#named(() => this.#parser.end());
    return new Uint8Array(0);
  }

  /** @returns how much of the piece belongs to the archive, and the flags if a node begins in it */
  #check(piece: Uint8Array): { readonly length: number; readonly featureFlags?: bigint } {
    const start = this.#parser.nextOffset;
    let featureFlags: bigint | undefined;
    this.#named(() => {
      for (const event of this.#parser.push(piece)) {
        if (event.kind === 'enter') featureFlags ??= event.node.featureFlags;
      }
    });
    const length = this.#parser.nextOffset - start;
    return featureFlags === undefined ? { length } : { length, featureFlags };
  }

  #named(action: () => void): void {
    try {
      action();
    } catch (error) {
      throw about(this.#label, error);
    }
  }
}
