/** The path of the node that a stream of archive events is in. */
import { byteKey, concatBytes } from '../../formats/bytes.ts';

const SLASH = Uint8Array.of(0x2f);
const EMPTY = new Uint8Array(0);

export class PathTracker {
  readonly #paths: Uint8Array[] = [];

  /** Path of the current node relative to the root, whose own path is empty. */
  get path(): Uint8Array {
    return this.#paths.at(-1) ?? EMPTY;
  }

  /** Nodes from the root to the current one, both counted; 0 outside of the root. */
  get depth(): number {
    return this.#paths.length;
  }

  enter(name: Uint8Array): void {
    const parent = this.path;
    this.#paths.push(parent.length === 0 ? name : concatBytes([parent, SLASH, name]));
  }

  leave(): void {
    this.#paths.pop();
  }

  /** True if the current node is the one at `path`. */
  equals(path: Uint8Array): boolean {
    return this.depth > 0 && byteKey(this.path) === byteKey(path);
  }

  /** True if the current node is the one at `path` or lies below it. */
  isWithin(path: Uint8Array): boolean {
    if (this.depth === 0) return false;
    if (path.length === 0) return true;
    const current = byteKey(this.path);
    const wanted = byteKey(path);
    return current === wanted || current.startsWith(`${wanted}/`);
  }
}
