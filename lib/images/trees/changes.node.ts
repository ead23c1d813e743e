/**
 * What is to be done in a tree so that it becomes the wanted one: which entries differ, and which
 * directories hold nothing that does. Used by the receiving side of a tree session.
 */
import { byteKey } from '../../../formats/bytes.ts';
import type { EntryRecord, ReadEntry } from '../../../formats/tree-session.ts';
import { entriesOf, type ListedDirectory } from './listing.node.ts';
import { isSameEntry, type TreePlan } from './plan.node.ts';

/** An entry that is not there, or not like that. */
export interface ChangedEntry {
  /** Among all wanted entries. */
  readonly number: number;
  readonly directory: ListedDirectory;
  readonly entry: ReadEntry;
  /** What has its name now. */
  readonly own: ReadEntry | undefined;
}

export interface TreeChanges {
  /** By number. */
  readonly changed: ReadonlyMap<number, ChangedEntry>;
  /** Wanted directories in which nothing is to be done, at any depth. */
  readonly unchanged: ReadonlySet<ListedDirectory>;
}

export interface ChangeOptions {
  /** What is there besides goes. */
  readonly deletesExtra: boolean;
  /** The contents of all files are to be compared. */
  readonly checks: boolean;
}

/** @param ownRoot attributes and time of the root as it is */
export function findChanges(
  plan: TreePlan,
  ownRoot: EntryRecord,
  { deletesExtra, checks }: ChangeOptions,
): TreeChanges {
  const changed = new Map<number, ChangedEntry>();
  const unchanged = new Set<ListedDirectory>();
  const { directories, root } = plan.wanted;
  for (const directory of directories) {
    const own = plan.ownOf.get(directory);
    if (plan.same.has(directory) && !checks) {
      unchanged.add(directory);
      continue;
    }
    const byName = new Map<string, ReadEntry>();
    if (own !== undefined) {
      for (const entry of entriesOf(own)) byName.set(byteKey(entry.name), entry);
    }
    const before = changed.size;
    entriesOf(directory).forEach((entry, i) => {
      const old = byName.get(byteKey(entry.name));
      const mustLook = checks && entry.isFile && entry.size > 0;
      if (old !== undefined && isSameEntry(entry, old) && !mustLook) return;
      const number = directory.first + i;
      changed.set(number, { number, directory, entry, own: old });
    });
    const hasExtra = own === undefined || own.entryCount !== directory.entryCount;
    if (changed.size === before && !(deletesExtra && hasExtra)) unchanged.add(directory);
  }
  // From below: a directory is in no hurry if all in it are not.
  for (let i = directories.length - 1; i >= 0; i--) {
    const { parent } = directories[i];
    if (parent !== undefined && !unchanged.has(directories[i])) unchanged.delete(parent);
  }
  const isRootSame = isSameEntry({ ...root, isFile: false }, { ...ownRoot, isFile: false });
  if (!isRootSame) unchanged.delete(directories[0]);
  return { changed, unchanged };
}
