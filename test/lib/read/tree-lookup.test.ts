import test from 'ava';
import fc from 'fast-check';
import { concatBytes } from '../../../formats/bytes.ts';
import type { CatarNode } from '../../../formats/catar-events.ts';
import { isCasError } from '../../../formats/errors.ts';
import type { ByteSource } from '../../../lib/read/byte-source.ts';
import { locateNode, readSubtree } from '../../../lib/read/locate.ts';
import { TreeLookup, type TreeNode } from '../../../lib/read/tree-lookup.ts';
import { parseArchive, serializeEvents } from '../../helpers/catar.ts';
import { golden } from '../../helpers/golden.ts';
import { catarTrees, eventsOf } from '../../property/catar-generators.ts';

const ARCHIVES = [
  'tree/default.catar',
  ...['acl-dir', 'dir-fat', 'dir-none', 'dir-unix', 'dir', 'emptydir', 'excl', 'many'].map(
    (name) => `mini/${name}.catar`,
  ),
];

interface Place {
  readonly path: Uint8Array;
  readonly node: CatarNode;
  readonly start: number;
  readonly end: number;
}

/** All nodes of an archive, by reading it front to back. */
function walked(archive: Uint8Array): readonly Place[] {
  const open: { path: Uint8Array; node: CatarNode; start: number; at: number }[] = [];
  const places: Place[] = [];
  for (const event of parseArchive(archive)) {
    if (event.kind === 'enter') {
      const parent = open.at(-1)?.path ?? new Uint8Array(0);
      const separator = parent.length === 0 ? [] : [new Uint8Array([0x2f])];
      const path = concatBytes([parent, ...separator, event.name]);
      const at = places.push({ path, node: event.node, start: event.offset ?? -1, end: -1 }) - 1;
      open.push({ path, node: event.node, start: event.offset ?? -1, at });
    } else if (event.kind === 'leave') {
      const left = open.pop();
      if (left) places[left.at] = { ...places[left.at], end: event.end ?? -1 };
    }
  }
  return places;
}

/** A source that gives a few bytes at a time and counts them. */
function sourceOf(bytes: Uint8Array, most = 100) {
  const counts = { bytes: 0 };
  const source: ByteSource = {
    label: 'test.catar',
    seekable: true,
    size: bytes.length,
    async read(offset, end = offset + most) {
      const part = bytes.slice(offset, Math.min(end > offset ? end : offset + most, offset + most));
      counts.bytes += part.length;
      return part;
    },
    close: async () => {},
  };
  return { source, counts };
}

function isChild(parent: Place, place: Place): boolean {
  const start = parent.path.length === 0 ? 0 : parent.path.length + 1;
  if (place.path.length <= start || place.path.subarray(start).includes(0x2f)) return false;
  const above = start === 0 ? parent.path : concatBytes([parent.path, Buffer.from('/')]);
  return Buffer.from(place.path.subarray(0, start)).equals(above);
}

async function collect(children: AsyncIterable<TreeNode>): Promise<TreeNode[]> {
  const all: TreeNode[] = [];
  for await (const child of children) all.push(child);
  return all;
}

const plain = ({ node, start, end }: Pick<Place, 'node' | 'start' | 'end'>) => ({
  node,
  start,
  end,
});

/** Looks up every node, and lists every folder. */
async function checkAll(archive: Uint8Array): Promise<string | undefined> {
  const places = walked(archive);
  const lookup = new TreeLookup(sourceOf(archive).source);
  for (const place of places) {
    const found = await lookup.open(place.path);
    if (found === undefined) return `not found: ${Buffer.from(place.path)}`;
    if (!sameValue(plain(found), plain(place))) return `differs: ${Buffer.from(place.path)}`;
    const children = (await collect(lookup.children(found))).map(plain);
    const expected = places.filter((other) => isChild(place, other)).map(plain);
    if (!sameValue(children, expected)) return `children of ${Buffer.from(place.path)}`;
  }
  return undefined;
}

function sameValue(a: unknown, b: unknown): boolean {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part));
  return text(a) === text(b);
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
    fc.asyncProperty(catarTrees(), async (tree) => {
      t.is(await checkAll(serializeEvents([...eventsOf(tree)])), undefined);
    }),
    { seed, numRuns: 60 },
  );
  t.pass();
});

test('a name that is not there is not found', async (t) => {
  const lookup = new TreeLookup(sourceOf(golden('mini/many.catar')).source);
  const root = await lookup.root();
  const [first] = await collect(lookup.children(root));
  t.is(await lookup.child(root, Buffer.from('no such name')), undefined);
  t.is(await lookup.child(root, Buffer.concat([first.name, Buffer.from('x')])), undefined);
  t.is(await lookup.child(first, Buffer.from('x')), undefined);
});

test('a lookup reads a small part of a large folder', async (t) => {
  const archive = golden('mini/many.catar');
  const places = walked(archive);
  const { source, counts } = sourceOf(archive);
  const { path, start } = places[Math.floor(places.length / 2)];
  t.is((await new TreeLookup(source).open(path))?.start, start);
  t.true(counts.bytes < archive.length / 10, `${counts.bytes} of ${archive.length} bytes`);
});

test('bytes behind the archive leave the lookup to the walk', async (t) => {
  const archive = golden('mini/dir.catar');
  const longer = concatBytes([archive, new Uint8Array(100)]);
  await t.throwsAsync(new TreeLookup(sourceOf(longer).source).root(), { message: /test\.catar/ });
  for (const { path, start, end } of walked(archive)) {
    t.like(await locateNode(sourceOf(longer).source, path), { start, end });
  }
});

test('a damaged table never gives another node than the walk', async (t) => {
  const archive = golden('mini/dir-unix.catar');
  const places = walked(archive);
  for (let at = 697; at < archive.length; at++) {
    const forged = archive.slice();
    forged[at] ^= 1 << (at % 8);
    for (const place of places) {
      const { source } = sourceOf(forged);
      const expected = await outcome(locateNode({ ...source, seekable: false }, place.path));
      const found = await outcome(locateNode(source, place.path));
      // The walk also minds damage that lies elsewhere.
      if (expected === 'FORMAT') continue;
      t.deepEqual(found, expected, `byte ${at}, ${Buffer.from(place.path)}`);
    }
  }
});

async function outcome(located: Promise<Place>): Promise<unknown> {
  try {
    return plain(await located);
  } catch (error) {
    if (isCasError(error)) return error.code;
    throw error;
  }
}

test('the events of a part are the same whether it is looked up or walked to', async (t) => {
  const archive = golden('tree/default.catar');
  for (const { path } of walked(archive)) {
    const { source } = sourceOf(archive);
    const [jumped, passed]: unknown[][] = [[], []];
    await readSubtree(source, path, (event) => void jumped.push(event));
    await readSubtree({ ...source, seekable: false }, path, (event) => void passed.push(event));
    if (!sameValue(joined(jumped), joined(passed))) t.fail(`${Buffer.from(path)}`);
  }
  t.pass();
});

/** Pieces of contents depend on how the bytes arrive. */
function joined(events: readonly unknown[]): unknown[] {
  const result: unknown[] = [];
  for (const event of events as { kind: string; bytes?: Uint8Array }[]) {
    const last = result.at(-1) as { kind: string; bytes: number[] } | undefined;
    if (event.kind !== 'data') result.push(event);
    else if (last?.kind === 'data') last.bytes.push(...(event.bytes ?? []));
    else result.push({ kind: 'data', bytes: [...(event.bytes ?? [])] });
  }
  return result;
}

test('a path that no node has fails with the words of the original', async (t) => {
  const { source } = sourceOf(golden('mini/dir.catar'));
  const path = Buffer.from('no/such');
  const expected = { code: 'NOT_IN_ARCHIVE', message: 'Seek path not available in archive.' };
  await t.throwsAsync(locateNode(source, path), expected);
  await t.throwsAsync(
    readSubtree(source, path, () => undefined),
    expected,
  );
});

test('a folder is listed the same whether its children are looked up or walked to', async (t) => {
  const archive = golden('tree/default.catar');
  const options = { skipPayloads: true, childrenOnly: true };
  for (const { path } of walked(archive)) {
    const { source } = sourceOf(archive);
    const [jumped, passed]: unknown[][] = [[], []];
    await readSubtree(source, path, (event) => void jumped.push(event), options);
    const stream = { ...source, seekable: false };
    await readSubtree(stream, path, (event) => void passed.push(event), options);
    if (!sameValue(jumped, passed)) t.fail(`${Buffer.from(path)}`);
  }
  t.pass();
});

test('the folders among very many entries are listed with their ends', async (t) => {
  const [root, ...rest] = parseArchive(golden('mini/emptydir.catar'));
  if (root?.kind !== 'enter') return t.fail();
  const names = Array.from({ length: 65_600 }, (_, i) => `n${String(i).padStart(6, '0')}`);
  const node = { ...root.node, type: 'fifo' as const, mode: 0o010644 };
  const events = names.flatMap((name, i) => [
    { kind: 'enter' as const, name: Buffer.from(name), node: i % 20_000 === 7 ? root.node : node },
    { kind: 'leave' as const },
  ]);
  const archive = serializeEvents([root, ...events, ...rest]);
  const lookup = new TreeLookup(sourceOf(archive, 65_536).source);
  const children = await collect(lookup.children(await lookup.root()));
  t.deepEqual(
    children.map(({ name }) => Buffer.from(name).toString()),
    names,
  );
  t.is(children.filter(({ folder }) => folder !== undefined).length, 4);
});
