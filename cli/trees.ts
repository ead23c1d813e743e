/** What the commands that read or restore a tree share: feature flags, owners, walk options. */

import type { CatarNode } from '../formats/catar-events.ts';
import type { DigestName } from '../formats/chunk-id.ts';
import { escapeBytes } from '../formats/escape.ts';
import { ALL_FEATURES, maskFlags, selectFlags } from '../formats/feature-flags.ts';
import type { Context } from './context.ts';
import { EXIT_SOURCE_INCOMPLETE } from './exit-codes.ts';

/** What raw input is named by unless `--digest` or `CASYNC_DIGEST` says otherwise. */
const DEFAULT_DIGEST: DigestName = 'sha256';

/** The digest for raw input; archives and indexes carry their own. */
export function digestNameOf(context: Context): DigestName {
  return context.options.digest ?? DEFAULT_DIGEST;
}

/** Feature flags of what is made of a tree (`all` by default) or of a blob (`none`). */
export function madeFlags(context: Context, byDefault: 'all' | 'none'): bigint {
  const { with: wanted, without, excludeNodump, excludeSubmounts, excludeFile } = context.options;
  return selectFlags({
    with: wanted,
    without,
    defaultWith: byDefault === 'all' ? ALL_FEATURES : 0n,
    excludeNodump,
    excludeSubmounts,
    excludeFile,
    digest: digestNameOf(context),
  });
}

/** Feature flags to restore or show of an archive that carries `archiveFlags`. */
export function shownFlags(archiveFlags: bigint, context: Context): bigint {
  const { with: wanted, without } = context.options;
  const mask = (wanted === 0n ? ALL_FEATURES : wanted) & ~without;
  return maskFlags(archiveFlags, mask);
}

/** Shift and range of numeric owners, undefined while shifting is off. */
export function uidShiftOf(context: Context): { shift: number; range: number } | undefined {
  const { enabled, shift, range } = context.options.uidShift;
  return enabled ? { shift, range } : undefined;
}

/** A node of an archive with the owner that it would be restored with. */
export function withLocalOwner(node: CatarNode, context: Context): CatarNode {
  const uidShift = uidShiftOf(context);
  if (!uidShift) return node;
  const { shift, range } = uidShift;
  const localOwner = { uid: (node.uid % range) + shift, gid: (node.gid % range) + shift };
  return { ...node, localOwner };
}

/** A sub-path as it stands in an archive: without superfluous slashes, empty for the root. */
export function subtreePath(word: string | undefined): Uint8Array {
  const names = (word ?? '').split('/').filter((name) => name !== '');
  return new Uint8Array(Buffer.from(names.join('/') === '.' ? '' : names.join('/')));
}

/** The two words that `-v` puts before the path when an entry is begun and done. */
export interface EntryVerbs {
  readonly begin: string;
  readonly end: string;
}

/** Reports a path with `-v`; the root is `./`. */
export function informOfEntry(context: Context, verb: string, path: Uint8Array): void {
  context.inform(`${verb} ${path.length === 0 ? './' : escapeBytes(path)}`);
}

/** Tells of input that changed while it was read; the run goes on and ends with a status of its own. */
export function reportIncomplete(context: Context): (label: string, reason: string) => void {
  return (label, reason) => {
    context.warn(`${label}: ${reason}`);
    context.setExitCode(EXIT_SOURCE_INCOMPLETE);
  };
}
