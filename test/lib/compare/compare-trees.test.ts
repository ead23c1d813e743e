import { createHash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { byteKey, compareBytes } from '../../../formats/bytes.ts';
import type { CatarEvent, CatarNode } from '../../../formats/catar-events.ts';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { type ChunkIndex, IndexBuilder } from '../../../formats/chunk-index.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { differentAspects } from '../../../lib/compare/compare-nodes.ts';
import { compareTrees, type EntryDifference } from '../../../lib/compare/compare-trees.ts';
import { nodeReducer } from '../../../lib/compare/reduce-node.ts';
import { ArchiveReader } from '../../../lib/compare/tree-reader.ts';
import type { ByteSource } from '../../../lib/read/byte-source.ts';
import { serializeEvents } from '../../helpers/catar.ts';
import { noise } from '../../helpers/golden.ts';
import { type CatarTree, catarTrees, eventsOf } from '../../property/catar-generators.ts';

/** An index of chunks of the same length. */
function indexOf(archive: Uint8Array, featureFlags: bigint): ChunkIndex {
  const builder = new IndexBuilder();
  for (let start = 0; start < archive.length; start += 64) {
    const chunk = archive.subarray(start, start + 64);
    builder.add(createHash('sha256').update(chunk).digest('hex') as ChunkId, chunk.length);
  }
  return builder.finish({ featureFlags, chunkSizes: { min: 64, avg: 64, max: 64 } });
}

function readerOf(archive: Uint8Array, pieceLength = 60, index?: ChunkIndex): ArchiveReader {
  const source: ByteSource = {
    label: 'test.catar',
    seekable: true,
    size: archive.length,
    read: async (offset) => archive.slice(offset, offset + pieceLength),
    close: async () => {},
  };
  return new ArchiveReader(source, index ? { index } : {});
}

function archiveOf(tree: CatarTree): Uint8Array {
  return serializeEvents([...eventsOf(tree)]);
}

type Told = readonly [kind: string, path: string, aspects: readonly string[]];

async function compare(before: Uint8Array, after: Uint8Array, flags: bigint, isIndexed = false) {
  const [left, right] = [before, after].map((tree) =>
    isIndexed ? indexOf(tree, flags) : undefined,
  );
  const told: Told[] = [];
  const onDifference = (difference: EntryDifference): undefined => {
    const aspects = difference.kind === 'changed' ? difference.aspects : [];
    told.push([difference.kind, byteKey(difference.path), aspects]);
  };
  const counts = await compareTrees(readerOf(before, 60, left), readerOf(after, 77, right), {
    reduce: nodeReducer(flags),
    onDifference,
  });
  return { told, counts };
}

/** The same by comparing all paths of both. */
function compareSimply(before: CatarTree, after: CatarTree): readonly Told[] {
  const [a, b] = [nodesOf(before), nodesOf(after)];
  const told: Told[] = [];
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    const [left, right] = [a.get(path), b.get(path)];
    if (left === undefined) told.push(['added', path, []]);
    else if (right === undefined) told.push(['removed', path, []]);
    else {
      const aspects = [...differentAspects(left.node, right.node)];
      const areFiles = left.node.type === 'file' && right.node.type === 'file';
      if (areFiles && compareBytes(left.content, right.content) !== 0) aspects.unshift('content');
      if (aspects.length > 0) told.push(['changed', path, aspects]);
    }
  }
  return told;
}

function nodesOf(tree: CatarTree, path = '', nodes = new Map<string, CatarTree>()) {
  nodes.set(path, tree);
  for (const [name, child] of tree.children) {
    nodesOf(child, path === '' ? byteKey(name) : `${path}/${byteKey(name)}`, nodes);
  }
  return nodes;
}

/** Another tree with some parts of both. */
function mixed(a: CatarTree, b: CatarTree, choices: readonly number[]): CatarTree {
  let step = 0;
  const choose = (): number => choices[step++ % choices.length] % 4;
  const mix = (left: CatarTree, right: CatarTree | undefined): CatarTree => {
    const kept = left.children.filter(() => choose() !== 0);
    const children = kept.map(([name, child], i) => {
      const other = right?.children[i]?.[1];
      return [name, choose() === 0 && other !== undefined ? other : mix(child, other)] as const;
    });
    const isChanged = choose() === 0;
    const node = isChanged ? { ...left.node, mode: left.node.mode ^ 0o100 } : left.node;
    const content =
      choose() === 0 && left.content.length > 0
        ? left.content.map((byte) => byte ^ 1)
        : left.content;
    return {
      node: hasPermissions(left.node) && left.node.type !== 'symlink' ? node : left.node,
      content,
      children,
    };
  };
  return mix(a, b);
}

function hasPermissions({ featureFlags }: CatarNode): boolean {
  return (featureFlags & (FEATURE.permissions | FEATURE.acl)) !== 0n;
}

const sorted = (told: readonly Told[]): readonly Told[] =>
  [...told].sort((a, b) => (`${a[1]} ${a[0]}` < `${b[1]} ${b[0]}` ? -1 : 1));

test('what differs is what comparing all paths of both finds', async (t) => {
  const seed = Date.now() % 1_000_000;
  t.log(`seed ${seed}`);
  const choices = fc.array(fc.nat(), { minLength: 5, maxLength: 40 });
  let differences = 0;
  await fc.assert(
    fc.asyncProperty(catarTrees(), choices, async (tree, numbers) => {
      const other = mixed(tree, tree.children[0]?.[1] ?? tree, numbers);
      const flags = tree.node.featureFlags;
      const { told, counts } = await compare(archiveOf(tree), archiveOf(other), flags);
      const expected = compareSimply(tree, other);
      t.deepEqual(sorted(told), sorted(expected));
      const indexed = await compare(archiveOf(tree), archiveOf(other), flags, true);
      t.deepEqual(indexed.told, told);
      t.is(counts.addedCount, told.filter(([kind]) => kind === 'added').length);
      t.is(counts.removedCount, told.filter(([kind]) => kind === 'removed').length);
      t.is(counts.changedCount, told.filter(([kind]) => kind === 'changed').length);
      differences += told.length;
    }),
    { seed, numRuns: 100 },
  );
  t.true(differences > 20, `${differences} differences`);
});

test('a tree equals itself', async (t) => {
  await fc.assert(
    fc.asyncProperty(catarTrees(), async (tree) => {
      const archive = archiveOf(tree);
      t.deepEqual((await compare(archive, archive, tree.node.featureFlags)).told, []);
    }),
    { numRuns: 40 },
  );
});

function node(type: CatarNode['type'], mode: number, extra: Partial<CatarNode> = {}): CatarNode {
  const featureFlags = FEATURE.permissions | FEATURE.symlinks | FEATURE.timeNsec | FEATURE.uids32;
  return {
    type,
    featureFlags,
    mode,
    entryFlags: 0,
    uid: 0,
    gid: 0,
    mtime: 0n,
    xattrs: [],
    size: 0,
    ...extra,
  };
}

function archive(...children: readonly CatarEvent[]): Uint8Array {
  const root: CatarEvent = {
    kind: 'enter',
    name: Buffer.from(''),
    node: node('directory', 0o40755),
  };
  return serializeEvents([root, ...children, { kind: 'leave' }]);
}

function entry(name: string, entered: CatarNode, ...inside: readonly CatarEvent[]): CatarEvent[] {
  return [{ kind: 'enter', name: Buffer.from(name), node: entered }, ...inside, { kind: 'leave' }];
}

test('a folder in place of a file is a change, and what is in it is added', async (t) => {
  const file = archive(
    ...entry('a', node('file', 0o100644)),
    ...entry('b', node('file', 0o100644)),
  );
  const folder = archive(
    ...entry('a', node('directory', 0o40755), ...entry('x', node('file', 0o100644))),
    ...entry('b', node('file', 0o100644)),
  );
  const { featureFlags } = node('file', 0);
  t.deepEqual((await compare(file, folder, featureFlags)).told, [
    ['changed', 'a', ['type', 'mode']],
    ['added', 'a/x', []],
  ]);
  t.deepEqual((await compare(folder, file, featureFlags)).told, [
    ['changed', 'a', ['type', 'mode']],
    ['removed', 'a/x', []],
  ]);
});

test('what the mask leaves out is not compared', async (t) => {
  const link = node('symlink', 0o120777, { linkTarget: Buffer.from('x') });
  const before = archive(...entry('a', node('file', 0o100644, { uid: 5, mtime: 1_700_000_001n })));
  const after = archive(...entry('a', node('file', 0o100600)), ...entry('l', link));
  const masked = async (flags: bigint) => (await compare(before, after, flags)).told;
  const all = FEATURE.permissions | FEATURE.symlinks | FEATURE.timeNsec | FEATURE.uids32;
  t.deepEqual(await masked(all), [
    ['changed', 'a', ['mode', 'owner', 'mtime']],
    ['added', 'l', []],
  ]);
  t.deepEqual(await masked(FEATURE.timeSec | FEATURE.symlinks), [
    ['changed', 'a', ['mtime']],
    ['added', 'l', []],
  ]);
  t.deepEqual(await masked(FEATURE.readOnly), []);
});

test('contents that share some chunks are compared to their end', async (t) => {
  const content = noise(5000);
  const size = content.length;
  const file = (bytes: Uint8Array): Uint8Array =>
    archive(
      ...entry('a', node('file', 0o100644, { size }), { kind: 'data', bytes }),
      ...entry('b', node('file', 0o100644, { size }), { kind: 'data', bytes: content }),
    );
  const { featureFlags } = node('file', 0);
  const before = file(content);
  for (const at of [0, 1, 63, 64, 2500, 4936, 4998, 4999]) {
    const other = content.slice();
    other[at] ^= 1;
    const { told } = await compare(before, file(other), featureFlags, true);
    t.deepEqual(told, [['changed', 'a', ['content']]], `byte ${at}`);
  }
  t.deepEqual((await compare(before, file(content.slice()), featureFlags, true)).told, []);
});
