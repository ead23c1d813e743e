/** The path of the node that a stream of archive events is in. */
import { equalBytes } from '../../formats/bytes.ts';

const SLASH = 0x2f;
const EMPTY = new Uint8Array(0);

export class PathTracker {
  readonly #names: Uint8Array[] = [];
  /** Paths that somebody has asked for, at the place of their last name. */
  readonly #paths: (Uint8Array | undefined)[] = [];

  /** Path of the current node relative to the root, whose own path is empty. */
  get path(): Uint8Array {
    return this.#pathAt(this.#names.length - 1);
  }

  /** Nodes from the root to the current one, both counted; 0 outside of the root. */
  get depth(): number {
    return this.#names.length;
  }

  /** @param name must not change. */
  enter(name: Uint8Array): void {
    this.#names.push(name);
    this.#paths.push(undefined);
  }

  leave(): void {
    this.#names.pop();
    this.#paths.pop();
  }

  /** True if the current node is the one at `path`. */
  equals(path: Uint8Array): boolean {
    return this.depth > 0 && equalBytes(this.path, path);
  }

  /** True if the current node is the one at `path` or lies below it. */
  isWithin(path: Uint8Array): boolean {
    if (this.depth === 0) return false;
    if (path.length === 0) return true;
    const current = this.path;
    const isBelow = current.length > path.length && current[path.length] === SLASH;
    return isBelow ? equalBytes(current.subarray(0, path.length), path) : equalBytes(current, path);
  }

  #pathAt(index: number): Uint8Array {
    const known = index < 0 ? EMPTY : this.#paths[index];
    if (known !== undefined) return known;
    const parent = this.#pathAt(index - 1);
    const path = parent.length === 0 ? this.#names[index] : joined(parent, this.#names[index]);
    this.#paths[index] = path;
    return path;
  }
}

function joined(parent: Uint8Array, name: Uint8Array): Uint8Array {
  const path = new Uint8Array(parent.length + 1 + name.length);
  path.set(parent);
  path[parent.length] = SLASH;
  path.set(name, parent.length + 1);
  return path;
}
