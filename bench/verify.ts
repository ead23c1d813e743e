/**
 * Whether results are right: extracted blobs and trees against the input, indexes against those of
 * other programs. Used after every command that is measured; nothing of the product is used here.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs';
import { join } from 'node:path';
import type { Kind } from './peers.ts';

const PIECE_BYTES = 4 * 1024 ** 2;
/** A file system may keep smaller contents beside its blocks. */
const LEAST_BYTES_IN_BLOCKS = 65_536;

/** @returns the first difference in words, undefined if there is none */
export function findDifference(kind: Kind, expected: string, actual: string): string | undefined {
  return kind === 'blob'
    ? differenceOfBlobs(expected, actual)
    : differenceOfTrees(expected, actual);
}

function differenceOfBlobs(expected: string, actual: string): string | undefined {
  const [one, two] = [statOf(expected), statOf(actual)];
  if (one === undefined || two === undefined) return `${two ? expected : actual} is missing`;
  if (one.size !== two.size) return `${actual} has ${two.size} bytes instead of ${one.size}`;
  return sameContent(expected, one, actual, two) ? undefined : `${actual} has other content`;
}

function sameContent(pathA: string, a: Stats, pathB: string, b: Stats): boolean {
  if (a.size !== b.size) return false;
  // Files without blocks are holes.
  if (a.size >= LEAST_BYTES_IN_BLOCKS && a.blocks === 0 && b.blocks === 0) return true;
  if (a.size <= PIECE_BYTES) return readFileSync(pathA).equals(readFileSync(pathB));
  const [bufferA, bufferB] = [Buffer.allocUnsafe(PIECE_BYTES), Buffer.allocUnsafe(PIECE_BYTES)];
  const [fileA, fileB] = [openSync(pathA, 'r'), openSync(pathB, 'r')];
  try {
    for (let offset = 0; offset < a.size; offset += PIECE_BYTES) {
      const length = readSync(fileA, bufferA, 0, PIECE_BYTES, offset);
      if (readSync(fileB, bufferB, 0, PIECE_BYTES, offset) !== length) return false;
      if (!bufferA.subarray(0, length).equals(bufferB.subarray(0, length))) return false;
    }
    return true;
  } finally {
    closeSync(fileA);
    closeSync(fileB);
  }
}

/** Type, mode, owner, content, target of links, and times where everybody restores them. */
function differenceOfTrees(expected: string, actual: string): string | undefined {
  const [one, two] = [statOf(expected), statOf(actual)];
  if (one === undefined || two === undefined) return `${two ? expected : actual} is missing`;
  const what = differenceOfNodes(expected, one, actual, two);
  if (what !== undefined) return `${actual} has ${what}`;
  if (!one.isDirectory()) return undefined;
  const names = readdirSync(expected).sort();
  const wanted = new Set(names);
  const extra = readdirSync(actual).find((name) => !wanted.has(name));
  if (extra !== undefined) return `${join(actual, extra)} is not in the input`;
  for (const name of names) {
    const difference = differenceOfTrees(join(expected, name), join(actual, name));
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function differenceOfNodes(pathA: string, a: Stats, pathB: string, b: Stats): string | undefined {
  if (a.mode !== b.mode) return `mode ${b.mode.toString(8)} instead of ${a.mode.toString(8)}`;
  if (a.uid !== b.uid || a.gid !== b.gid) return 'another owner';
  if (a.isSymbolicLink())
    return readlinkSync(pathA) === readlinkSync(pathB) ? undefined : 'another target';
  if (a.mtimeMs !== b.mtimeMs) return 'another time';
  return !a.isFile() || sameContent(pathA, a, pathB, b) ? undefined : 'other content';
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** Remembers the first index of every input and compares later ones with it. */
export interface IndexComparison {
  /**
   * @param input what the index is of: equal inputs have equal indexes
   * @param fromOffset bytes before it are not compared
   * @returns what is wrong, in words
   */
  check(
    input: string,
    index: { readonly path: string; readonly fromOffset: number },
    owner: string,
  ): string | undefined;
}

/** @param fromOffsets all that will be used, so that every pair of indexes can be compared */
export function compareIndexes(fromOffsets: readonly number[]): IndexComparison {
  const first = new Map<string, { readonly hash: string; readonly owner: string }>();
  return {
    check: (input, { path, fromOffset }, owner) => {
      const bytes = readFileSync(path);
      for (const offset of fromOffsets) {
        if (offset < fromOffset) continue;
        const hash = createHash('sha256').update(bytes.subarray(offset)).digest('hex');
        const known = first.get(`${offset} ${input}`);
        if (known === undefined) first.set(`${offset} ${input}`, { hash, owner });
        else if (known.hash !== hash) return `its index is not the same as that of ${known.owner}`;
      }
      return undefined;
    },
  };
}
