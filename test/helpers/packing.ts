/** Places to run packing jobs in, for tests, and archives made through them. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type PackTreeOptions, packTree } from '../../lib/make/pack-tree.node.ts';
import type { PackEntries } from '../../lib/make/packing.ts';
import { packEntries } from '../../lib/work/jobs/pack-entries.node.ts';
import type { Random } from '../property/random.ts';

/** Here and at once. */
export const packHere: PackEntries = async (input) => packEntries(undefined, input);

/** Some time later, jobs overtaking each other, like threads that are not equally busy. */
export function packWhenever(random: Random): PackEntries {
  return async (input) => {
    for (let turns = random.integer(0, 20); turns > 0; turns--) await nextTurn();
    // A copy, as between threads.
    const output = packEntries(undefined, structuredClone(input));
    for (let turns = random.integer(0, 20); turns > 0; turns--) await nextTurn();
    return structuredClone(output);
  };
}

/** Nowhere: everything is left to the caller. */
export const packNothing: PackEntries = async ({ runs }) => {
  const count = runs.reduce((sum, { types }) => sum + types.length, 0);
  return { table: new Uint32Array(3 * count) };
};

/** The archive of a folder. */
export async function packedArchive(
  root: string,
  options: PackTreeOptions,
  pack: PackEntries,
): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const piece of packTree(Buffer.from(root), options, pack)) {
    copies.push(Buffer.from(piece));
  }
  return Buffer.concat(copies);
}
