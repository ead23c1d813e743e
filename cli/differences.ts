/** How diff and verify tell what differs: lines of words, or JSON (spec/command-line.md). */
import type { CatarNode } from '../formats/catar-events.ts';
import { escapeBytes } from '../formats/escape.ts';
import { FEATURE, timeGranularity } from '../formats/feature-flags.ts';
import { shownPath } from '../formats/listing.ts';
import { timeText } from '../formats/mtree.ts';
import type { BlobDifference } from '../lib/compare/compare-blobs.node.ts';
import type { NodeAspect } from '../lib/compare/compare-nodes.ts';
import type { EntryDifference } from '../lib/compare/compare-trees.ts';
import { entryJson, nodeJson } from './entry-json.ts';
import { jsonLine } from './json-text.ts';

/** The words for what only the first, only the second and both trees have. */
export type DifferenceWords = Readonly<Record<EntryDifference['kind'], string>>;

/** Short values of a node, which are worth to be shown. */
const VALUES: { readonly [Aspect in NodeAspect]?: (node: CatarNode) => string } = {
  type: ({ type }) => type,
  size: ({ size }) => `${size}`,
  target: ({ linkTarget }) => escapeBytes(linkTarget ?? new Uint8Array(0)),
  device: ({ device }) => `${device?.major}:${device?.minor}`,
  mode: ({ mode }) => (mode & 0o7777).toString(8).padStart(4, '0'),
  owner: (node) => ownerText(node.uid, node.user, node.featureFlags),
  group: (node) => ownerText(node.gid, node.group, node.featureFlags),
  mtime: ({ mtime, featureFlags }) => {
    const { seconds, fraction } = timeText(mtime);
    return timeGranularity(featureFlags) < 1_000_000_000n ? `${seconds}.${fraction}` : `${seconds}`;
  },
  'project-id': ({ quotaProjectId }) => `${quotaProjectId ?? 0}`,
};

function ownerText(id: number, name: Uint8Array | undefined, flags: bigint): string {
  const hasNumbers = (flags & (FEATURE.uids16 | FEATURE.uids32)) !== 0n;
  const text = name === undefined ? undefined : escapeBytes(name);
  if (!hasNumbers) return text ?? 'root';
  return text === undefined ? `${id}` : `${text}(${id})`;
}

function aspectText(aspect: NodeAspect, before: CatarNode, after: CatarNode): string {
  const shown = VALUES[aspect];
  return shown === undefined ? aspect : `${aspect}=${shown(before)}->${shown(after)}`;
}

/** A line: the word, the path, and of what both have in what it differs. */
export function entryLine(difference: EntryDifference, words: DifferenceWords): string {
  const line = `${words[difference.kind]} ${shownPath(difference.path)}`;
  if (difference.kind !== 'changed') return `${line}\n`;
  const { aspects, before, after } = difference;
  return `${[line, ...aspects.map((aspect) => aspectText(aspect, before, after))].join(' ')}\n`;
}

/** The same as an object. */
export function entryJsonLine(difference: EntryDifference, words: DifferenceWords): string {
  const { kind, path } = difference;
  const change = words[kind];
  if (kind === 'changed') {
    const { aspects, before, after } = difference;
    const { path: shown, pathBase64 } = entryJson(path, after, { shownFlags: after.featureFlags });
    return jsonLine({
      change,
      path: shown,
      pathBase64,
      aspects,
      before: nodeJson(before, before.featureFlags),
      after: nodeJson(after, after.featureFlags),
    });
  }
  const node = kind === 'removed' ? difference.before : difference.after;
  return jsonLine({ change, ...entryJson(path, node, { shownFlags: node.featureFlags }) });
}

/** A range of bytes, its end not included; whole chunks are marked. */
export function rangeLine({ start, end, isExact }: BlobDifference, word: string): string {
  return `${word} ${start} ${end}${isExact ? '' : ' chunks'}\n`;
}

export function rangeJsonLine({ start, end, isExact }: BlobDifference, change: string): string {
  return jsonLine({ change, start, end, exact: isExact });
}
