/**
 * Removes everything in a directory with few descriptors, however deep it is. Used by the confined
 * directory, whose methods do all of it.
 */
import { systemFailure } from '../os/system-error.node.ts';
import { temporaryName } from './entry-name.ts';

/** A confined directory, as far as it is needed here. */
export interface Emptied {
  readonly list: () => readonly Buffer[];
  /** @returns false if a directory is there */
  readonly unlink: (name: Uint8Array) => boolean;
  readonly openIfDirectory: (name: Uint8Array) => Emptied | undefined;
  /** @returns false if it is not empty */
  readonly removeDirectory: (name: Uint8Array) => boolean;
  readonly move: (name: Uint8Array, to: Emptied, newName: Uint8Array) => void;
  readonly close: () => void;
  readonly fd: number;
}

/** Directories held open at a time. */
const MAX_DEPTH = 32;

/** A directory that is being emptied, and what is left in it. */
interface Removal {
  readonly directory: Emptied;
  readonly names: Buffer[];
}

/** What lies too deep is moved up to `top` meanwhile. @throws PipelineError without subject */
export function emptyDirectory(top: Emptied): void {
  const stack: Removal[] = [];
  const moved: Buffer[] = [];
  let names = [...top.list()];
  try {
    while (names.length > 0) {
      stack.push({ directory: top, names });
      while (stack.length > 0) removalStep(top, stack, moved);
      names = moved.splice(0);
    }
  } finally {
    for (const { directory } of stack) if (directory !== top) directory.close();
  }
}

function removalStep(top: Emptied, stack: Removal[], moved: Buffer[]): void {
  const { directory, names } = stack[stack.length - 1];
  const name = names.pop();
  if (name === undefined) {
    stack.pop();
    if (directory !== top) directory.close();
    const above = stack.at(-1);
    if (above !== undefined) removeEmptied(above.directory, above.names.pop());
    return;
  }
  if (directory.unlink(name)) return;
  const child = directory.openIfDirectory(name);
  if (child === undefined) return;
  if (stack.length < MAX_DEPTH) {
    names.push(name);
    stack.push({ directory: child, names: [...child.list()] });
    return;
  }
  child.close();
  const nearer = Buffer.from(temporaryName(name));
  directory.move(name, top, nearer);
  moved.push(nearer);
}

/** What others put there meanwhile is an error, not a reason to go on for ever. */
function removeEmptied(directory: Emptied, name: Uint8Array | undefined): void {
  if (name === undefined || directory.removeDirectory(name)) return;
  throw systemFailure('remove directory', 'ENOTEMPTY');
}
