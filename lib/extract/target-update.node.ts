/**
 * An output that holds an older version already: of what is written, only the blocks that differ reach
 * the target below. Wrapped around files that share the blocks of the old one, around the update of a
 * file in place, and around block devices.
 */
import { HeldReader } from './held-content.node.ts';
import type { BlockOrigin, BlockTarget, HeldContent, TargetCounts } from './target.ts';

/** @param target takes any part of its content in any order. @param held what it holds */
export function openUpdateTarget(target: BlockTarget, held: HeldContent): BlockTarget {
  return new UpdateTarget(target, held);
}

class UpdateTarget implements BlockTarget {
  readonly label: string;
  readonly held: HeldContent;
  readonly #target: BlockTarget;
  readonly #old: HeldReader;
  #keptBytes = 0;

  constructor(target: BlockTarget, held: HeldContent) {
    this.label = target.label;
    this.held = held;
    this.#target = target;
    this.#old = new HeldReader(held, target.label);
  }

  get mostChangedBytes(): number | undefined {
    return this.#target.mostChangedBytes;
  }

  get counts(): TargetCounts {
    return { ...this.#target.counts, keptBytes: this.#keptBytes };
  }

  async write(bytes: Uint8Array, offset: number, origin?: BlockOrigin): Promise<void> {
    let differing = 0;
    for (const { start, end } of this.#old.differing(bytes, offset)) {
      const from = origin && { ...origin, offset: origin.offset + start };
      await this.#target.write(bytes.subarray(start, end), offset + start, from);
      differing += end - start;
    }
    this.#keptBytes += bytes.length - differing;
  }

  async zero(offset: number, length: number): Promise<void> {
    let differing = 0;
    for (const { start, end } of this.#old.data(offset, length)) {
      await this.#target.zero(start, end - start);
      differing += end - start;
    }
    this.#keptBytes += length - differing;
  }

  keep(_offset: number, length: number): void {
    this.#keptBytes += length;
  }

  commit(): Promise<void> {
    return this.#target.commit();
  }

  discard(): Promise<void> {
    return this.#target.discard();
  }
}
