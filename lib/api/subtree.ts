/** Paths inside of archives, as the library's functions take them. */
import { concatBytes } from '../../formats/bytes.ts';

const SLASH = 0x2f;

/** Names joined by slashes; empty or `.` for the root. Superfluous slashes do not matter. */
export type Subtree = string | Uint8Array;

/** A path as it stands in an archive: without superfluous slashes, empty for the root. */
export function subtreePath(subtree: Subtree = ''): Uint8Array {
  const bytes = typeof subtree === 'string' ? new TextEncoder().encode(subtree) : subtree;
  const path: number[] = [];
  for (const byte of bytes) {
    if (byte !== SLASH || (path.length > 0 && path.at(-1) !== SLASH)) path.push(byte);
  }
  if (path.at(-1) === SLASH) path.pop();
  const isRoot = path.length === 1 && path[0] === '.'.charCodeAt(0);
  return Uint8Array.from(isRoot ? [] : path);
}

/** The last name of a path; empty for the root. */
export function lastName(path: Uint8Array): Uint8Array {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}

/** The path without its last name; empty for the root and what is in it. */
export function parentPath(path: Uint8Array): Uint8Array {
  return path.subarray(0, Math.max(0, path.lastIndexOf(SLASH)));
}

/** A path below another one. */
export function joinPaths(parent: Uint8Array, path: Uint8Array): Uint8Array {
  if (parent.length === 0 || path.length === 0) return parent.length === 0 ? path : parent;
  return concatBytes([parent, Uint8Array.of(SLASH), path]);
}
