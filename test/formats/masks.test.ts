/** What mtree and stat show under masks and shifted owners, compared with the original's words. */
import test from 'ava';
import { ALL_FEATURES, maskFlags, parseFeature } from '../../formats/feature-flags.ts';
import { mtreeLine } from '../../formats/mtree.ts';
import { statText } from '../../formats/stat-text.ts';
import { archiveNodes } from '../helpers/archive-nodes.ts';
import { golden, vectors } from '../helpers/golden.ts';

interface Case {
  readonly options: readonly string[];
  readonly path: string;
  readonly mtree: string;
  readonly stat: string;
}

const { cases } = vectors<{ readonly cases: readonly Case[] }>('masks');
const NODES = archiveNodes(golden('tree/default.catar'));

function valuesOf(options: readonly string[], name: string): readonly string[] {
  return options.filter((o) => o.startsWith(`--${name}=`)).map((o) => o.slice(name.length + 3));
}

function maskOf(options: readonly string[]): bigint {
  const bits = (name: string) =>
    valuesOf(options, name).reduce((flags, value) => flags | (parseFeature(value) ?? 0n), 0n);
  return (bits('with') || ALL_FEATURES) & ~bits('without');
}

function localIdOf(options: readonly string[]): (id: number) => number {
  const [shift] = valuesOf(options, 'uid-shift');
  const [range] = valuesOf(options, 'uid-range');
  if (shift === undefined && range === undefined) return (id) => id;
  return (id) => (id % Number(range ?? 65536)) + Number(shift ?? 0);
}

function localTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

for (const { options, path, mtree, stat } of cases) {
  test(`${path} with ${options.join(' ') || 'no options'}`, (t) => {
    const entry = NODES.find((node) => Buffer.from(node.path).toString() === path);
    if (!entry) return t.fail('not in the archive');
    const { node, offset, contentDigest, nodeDigest } = entry;
    const isFile = node.type === 'file';
    const localId = localIdOf(options);
    const local = { ...node, localOwner: { uid: localId(node.uid), gid: localId(node.gid) } };
    const shown = {
      shownFlags: maskFlags(node.featureFlags, maskOf(options)),
    };
    const digest = { label: 'sha512-256', value: contentDigest } as const;
    t.is(mtreeLine(entry.path, local, { ...shown, ...(isFile ? { digest } : {}) }), mtree);
    const digests = { hardLinkDigest: nodeDigest, ...(isFile ? { contentDigest } : {}) };
    t.is(statText(entry.path, local, { ...shown, offset, localTime, ...digests }), stat);
  });
}
