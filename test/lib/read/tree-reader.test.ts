import test from 'ava';
import fc from 'fast-check';
import { concatBytes } from '../../../formats/bytes.ts';
import { isCasError } from '../../../formats/errors.ts';
import { PipelineError } from '../../../lib/errors.ts';
import { openBytesBlob } from '../../../lib/read/bytes-blob.ts';
import type { TreeNode } from '../../../lib/read/tree-node.ts';
import { TreeReader } from '../../../lib/read/tree-reader.ts';
import { isChild, type Place, plain, sameValue, walked } from '../../helpers/archive-places.ts';
import { parseArchive, serializeEvents } from '../../helpers/catar.ts';
import { golden } from '../../helpers/golden.ts';
import { type TestBlobOptions, testBlob } from '../../helpers/test-blobs.ts';
import { catarTrees, eventsOf } from '../../property/catar-generators.ts';

const ARCHIVES = [
  'tree/default.catar',
  ...['acl-dir', 'dir-fat', 'dir-none', 'dir-unix', 'dir', 'emptydir', 'excl', 'many'].map(
    (name) => `mini/${name}.catar`,
  ),
];

interface Child {
  readonly name: Uint8Array;
  readonly child: TreeNode;
  readonly offset: number;
}

async function childrenOf(tree: TreeReader, parent: TreeNode, from = 0): Promise<Child[]> {
  const all: Child[] = [];
  await tree.children(parent, from, (name, child, offset) => all.push({ name, child, offset }) > 0);
  return all;
}

/** Looks up every node and an absent one, and lists every folder from every place. */
async function checkAll(
  archive: Uint8Array,
  options: TestBlobOptions = {},
): Promise<string | undefined> {
  const places = walked(archive);
  const { blob, counts } = testBlob(archive, options);
  const tree = new TreeReader(blob);
  for (const place of places) {
    const label = Buffer.from(place.path).toString();
    const found = await tree.open(place.path);
    if (found === undefined) return `not found: ${label}`;
    if (!sameValue(plain(found), plain(place))) return `differs: ${label}`;
    if (await tree.child(found, Buffer.from('no such name'))) return `found in ${label}`;
    const problem = await checkFolder(tree, found, place, places);
    if (problem !== undefined) return `${problem}: ${label}`;
  }
  return counts.held === 0 ? undefined : 'bytes were not released';
}

async function checkFolder(
  tree: TreeReader,
  found: TreeNode,
  place: Place,
  places: readonly Place[],
): Promise<string | undefined> {
  const children = await childrenOf(tree, found);
  const expected = places.filter((other) => isChild(place, other)).map(plain);
  if (
    !sameValue(
      children.map(({ child }) => plain(child)),
      expected,
    )
  )
    return 'children';
  for (const [i, { offset }] of children.entries()) {
    const rest = await childrenOf(tree, found, offset);
    if (
      !sameValue(
        rest.map(({ child }) => plain(child)),
        expected.slice(i),
      )
    )
      return `from ${i}`;
  }
  const folderCount = expected.filter(({ node }) => node.type === 'directory').length;
  if (!sameValue(await tree.survey(found, 100), { folderCount, isComplete: true })) return 'survey';
  return undefined;
}

for (const name of ARCHIVES) {
  test(`every node of ${name} is found where the walk finds it`, async (t) => {
    t.is(await checkAll(golden(name)), undefined);
  });
}

test('every node of any archive is found where the walk finds it', async (t) => {
  const seed = Date.now() % 1_000_000;
  t.log(`seed ${seed}`);
  await fc.assert(
    fc.asyncProperty(catarTrees(), fc.boolean(), async (tree, isLate) => {
      const archive = serializeEvents([...eventsOf(tree)]);
      t.is(await checkAll(archive, { isLate, pieceLength: isLate ? 7 : 1000 }), undefined);
    }),
    { seed, numRuns: 60 },
  );
});

test('names and records may lie across the blocks that are read', async (t) => {
  const [root, ...rest] = parseArchive(golden('mini/emptydir.catar'));
  if (root?.kind !== 'enter') return t.fail();
  const file = { ...root.node, type: 'file' as const, mode: 0o100644, size: 1 };
  const names = Array.from(
    { length: 400 },
    (_, i) => `${String(i).padStart(4, '0')}${'n'.repeat(i)}`,
  );
  const events = names.flatMap((name) => [
    { kind: 'enter' as const, name: Buffer.from(name), node: file },
    { kind: 'data' as const, bytes: Buffer.from('x') },
    { kind: 'leave' as const },
  ]);
  const archive = serializeEvents([root, ...events, ...rest]);
  const places = walked(archive);
  const tree = new TreeReader(testBlob(archive).blob);
  for (const place of places) {
    const found = await tree.open(place.path);
    t.deepEqual(found && plain(found), plain(place));
  }
  const children = await childrenOf(tree, await tree.root());
  t.deepEqual(
    children.map(({ name }) => Buffer.from(name).toString()),
    names,
  );
});

test('what lies in memory is answered without a promise', (t) => {
  const archive = golden('mini/dir.catar');
  const tree = new TreeReader(openBytesBlob(archive, 'dir.catar'));
  const root = tree.root();
  if (root instanceof Promise) return t.fail();
  t.false(tree.child(root, Buffer.from('f1')) instanceof Promise);
  t.false(tree.children(root, 0, () => true) instanceof Promise);
});

test('a listing ends where its caller has had enough', async (t) => {
  const tree = new TreeReader(testBlob(golden('mini/many.catar')).blob);
  const names: string[] = [];
  await tree.children(await tree.root(), 0, (name) => {
    names.push(Buffer.from(name).toString());
    return names.length < 3;
  });
  t.is(names.length, 3);
});

test('a place that no child begins at is refused', async (t) => {
  const tree = new TreeReader(testBlob(golden('mini/many.catar')).blob);
  const root = await tree.root();
  const all = await childrenOf(tree, root);
  const [first] = all;
  t.is((await childrenOf(tree, root, first.offset - 1)).length, all.length);
  for (const from of [first.offset + 1, first.child.end - 1]) {
    const listed = settled(() => childrenOf(tree, root, from));
    t.is(await listed, 'FORMAT');
  }
  t.deepEqual(await childrenOf(tree, root, Number.MAX_SAFE_INTEGER), []);
});

test('every read that fails once succeeds the next time', async (t) => {
  const archive = golden('tree/default.catar');
  for (const isLate of [false, true]) {
    const { blob, counts } = testBlob(archive, { failsFirst: true, isLate });
    const tree = new TreeReader(blob);
    const again = async <Value>(ask: () => Value | Promise<Value>): Promise<Value> => {
      for (let tries = 0; ; tries++) {
        try {
          return await ask();
        } catch (error) {
          if (!isCasError(error) || error.code !== 'IO' || tries > 20) throw error;
        }
      }
    };
    for (const place of walked(archive)) {
      const found = await again(() => tree.open(place.path));
      t.deepEqual(found && plain(found), plain(place));
    }
    t.is(counts.held, 0);
  }
});

test('calls may overlap', async (t) => {
  const archive = golden('tree/default.catar');
  const places = walked(archive);
  const tree = new TreeReader(testBlob(archive, { isLate: true }).blob);
  const found = await Promise.all(places.map(({ path }) => tree.open(path)));
  t.deepEqual(
    found.map((node) => node && plain(node)),
    places.map(plain),
  );
});

test('bytes behind the archive hide its root', (t) => {
  const longer = concatBytes([golden('mini/dir.catar'), new Uint8Array(100)]);
  t.throws(() => new TreeReader(openBytesBlob(longer, 'test.catar')).root(), {
    message: /test\.catar/,
  });
});

test('an archive of other features than expected is refused', (t) => {
  const blob = openBytesBlob(golden('mini/dir.catar'), 'test.catar');
  t.throws(() => new TreeReader(blob, { expectedFlags: 1n }).root(), {
    message: /as in the index/,
  });
});

test('a call whose signal has fired ends', (t) => {
  const tree = new TreeReader(openBytesBlob(golden('mini/dir.catar'), 'dir.catar'));
  t.throws(() => tree.root({ signal: AbortSignal.abort() }), { code: 'ABORTED' });
});

test('a damaged archive gives an error or what the walk gives, and nothing for ever', async (t) => {
  const archive = golden('mini/dir-unix.catar');
  for (let bit = 0; bit < 8 * archive.length; bit++) {
    const forged = archive.slice();
    forged[bit >> 3] ^= 1 << (bit % 8);
    const expected = outcome(() => walked(forged));
    for (const { path } of walked(archive)) {
      const tree = new TreeReader(openBytesBlob(forged, 'forged.catar'));
      const found = await settled(async () => tree.open(path));
      if (found === 'FORMAT' || found === undefined || typeof expected === 'string') continue;
      const place = expected?.find((other) => Buffer.from(other.path).equals(path));
      if (typeof found === 'string' || !sameValue(plain(found), place && plain(place))) {
        t.fail(`bit ${bit}, ${Buffer.from(path)}`);
      }
    }
  }
  t.pass();
});

function outcome<Value>(work: () => Value): Value | string {
  try {
    return work();
  } catch (error) {
    if (isCasError(error)) return error.code;
    throw error;
  }
}

async function settled<Value>(work: () => Promise<Value>): Promise<Value | string> {
  try {
    return await work();
  } catch (error) {
    if (isCasError(error)) return error.code;
    throw error;
  }
}

test('a table that does not lead to a child is noticed, and the folder listed all the same', async (t) => {
  const archive = golden('mini/dir-unix.catar');
  const tree = new TreeReader(openBytesBlob(archive, 'dir.catar'));
  const names = (await childrenOf(tree, await tree.root())).map(({ name }) => name);
  // The items of the root's table.
  for (let at = 801; at < 801 + 72; at++) {
    const forged = archive.slice();
    forged[at] ^= 0x10;
    const damaged = new TreeReader(openBytesBlob(forged, 'dir.catar'));
    const root = await damaged.root();
    t.deepEqual(await damaged.survey(root, 100), { folderCount: 1, isComplete: false });
    const listed = await childrenOf(damaged, root);
    t.deepEqual(
      listed.map(({ name }) => name),
      names,
    );
  }
});

/** A folder of fifos with four folders among them. */
function largeFolder(count: number): { archive: Uint8Array; names: readonly string[] } {
  const [root, ...rest] = parseArchive(golden('mini/emptydir.catar'));
  if (root?.kind !== 'enter') throw new TypeError('no root');
  const names = Array.from({ length: count }, (_, i) => `n${String(i).padStart(6, '0')}`);
  const node = { ...root.node, type: 'fifo' as const, mode: 0o010644 };
  const folders = new Set([7, 20_007, 40_007, 60_007]);
  const events = names.flatMap((name, i) => [
    { kind: 'enter' as const, name: Buffer.from(name), node: folders.has(i) ? root.node : node },
    { kind: 'leave' as const },
  ]);
  return { archive: serializeEvents([root, ...events, ...rest]), names };
}

test('a folder of 200,000 entries is listed in small parts, and looked into with few reads', async (t) => {
  const { archive, names } = largeFolder(200_000);
  const { blob, counts } = testBlob(archive);
  const tree = new TreeReader(blob);
  const root = await tree.root();
  for (const name of [names[0], names[123_456], names[199_999]]) {
    t.not(await tree.child(root, Buffer.from(name)), undefined);
  }
  t.is(await tree.child(root, Buffer.from('absent')), undefined);
  t.is(await tree.survey(root, 4096), undefined);
  t.true(counts.bytes < archive.length / 10, `${counts.bytes} of ${archive.length} bytes`);
  const listed: string[] = [];
  let folderCount = 0;
  for (let from = 0; from < (root.folder?.table.offset ?? 0); ) {
    let room = 100;
    await tree.children(root, from, (name, child) => {
      listed.push(Buffer.from(name).toString());
      if (child.folder !== undefined) folderCount += 1;
      from = child.end;
      room -= 1;
      return room > 0;
    });
  }
  t.deepEqual(listed, names);
  t.is(folderCount, 4);
  t.true(counts.bytes < 2 * archive.length, `${counts.bytes} of ${archive.length} bytes`);
});

test('a folder whose own table cannot be read is listed, and looked into when it can be', async (t) => {
  const archive = golden('mini/dir-unix.catar');
  const sub = walked(archive).find(({ path }) => Buffer.from(path).equals(Buffer.from('sub')));
  if (sub === undefined) return t.fail();
  const [lostStart, lostEnd] = [sub.end - 40, sub.end];
  const blob = openBytesBlob(archive, 'x.catar');
  let isLost = true;
  const tree = new TreeReader({
    ...blob,
    unitAt(offset) {
      const start = [lostEnd, lostStart, 0].find((at) => at <= offset) ?? 0;
      const end = [lostStart, lostEnd].find((at) => at > offset) ?? archive.length;
      return { offset: start, length: end - start };
    },
    read(range) {
      if (!isLost || range.offset >= lostEnd || range.offset + range.length <= lostStart) {
        return blob.read(range);
      }
      throw new PipelineError('IO', { subject: 'x.catar', reason: 'the store is away' });
    },
  });
  const root = await tree.root();
  const listed = await childrenOf(tree, root);
  const isUnread = ({ child }: Child): boolean => 'isUnread' in child;
  t.deepEqual(
    listed.filter(isUnread).map(({ child }) => child.start),
    [sub.start],
  );
  t.true(sameValue(plain(listed.filter(isUnread)[0].child), plain(sub)));
  t.is((await tree.survey(root, 100))?.folderCount, 1);
  await t.throwsAsync(async () => tree.child(root, Buffer.from('sub')), { message: /away/ });
  isLost = false;
  t.false((await childrenOf(tree, root)).some(isUnread));
  t.true(
    sameValue(plain((await tree.child(root, Buffer.from('sub'))) ?? listed[0].child), plain(sub)),
  );
});
