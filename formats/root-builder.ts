/** The root of an image whose digests come part by part (formats/image-root.ts). Used by versions. */
import { type BlockDigest, DIGEST_LENGTH } from './block-digest.ts';
import { ROOT_FAN_OUT, type RootParts, rootOf } from './image-root.ts';

interface Level {
  /** Digests that have no node above them yet. */
  readonly waiting: Uint8Array;
  waitingCount: number;
  totalCount: number;
}

export class RootBuilder {
  readonly #digest: BlockDigest;
  readonly #levels: Level[] = [];
  readonly #node = new Uint8Array(DIGEST_LENGTH);

  constructor(digest: BlockDigest) {
    this.#digest = digest;
  }

  /** @param digests of the next blocks, 32 bytes each */
  add(digests: Uint8Array): void {
    for (let at = 0; at < digests.length; at += DIGEST_LENGTH) {
      this.#addTo(0, digests.subarray(at, at + DIGEST_LENGTH));
    }
  }

  /** All have come. @returns 32 bytes */
  finish(parts: RootParts): Uint8Array {
    let top = new Uint8Array(0);
    // Levels are added to while they are looked at.
    for (let i = 0; i < this.#levels.length; i++) {
      const level = this.#levels[i];
      if (level.totalCount === 1) top = level.waiting.slice(0, DIGEST_LENGTH);
      else if (level.waitingCount > 0) this.#close(i);
    }
    return rootOf(this.#digest, parts, top);
  }

  #addTo(number: number, digest: Uint8Array): void {
    this.#levels[number] ??= {
      waiting: new Uint8Array(ROOT_FAN_OUT * DIGEST_LENGTH),
      waitingCount: 0,
      totalCount: 0,
    };
    const level = this.#levels[number];
    level.waiting.set(digest, level.waitingCount * DIGEST_LENGTH);
    level.waitingCount += 1;
    level.totalCount += 1;
    if (level.waitingCount === ROOT_FAN_OUT) this.#close(number);
  }

  /** Makes a node of what waits. */
  #close(number: number): void {
    const level = this.#levels[number];
    const below = level.waiting.subarray(0, level.waitingCount * DIGEST_LENGTH);
    this.#digest.write(below, this.#node, 0);
    level.waitingCount = 0;
    this.#addTo(number + 1, this.#node.slice());
  }
}
