/** Paths inside of archives, as the library's functions take them. */

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
