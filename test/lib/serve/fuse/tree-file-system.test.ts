import test from 'ava';
import fc from 'fast-check';
import { byteKey, concatBytes } from '../../../../formats/bytes.ts';
import type { CatarEvent, CatarNode } from '../../../../formats/catar-events.ts';
import { isCasError } from '../../../../formats/errors.ts';
import { FEATURE } from '../../../../formats/feature-flags.ts';
import { decodePosixAcl } from '../../../../lib/os/posix-acl.ts';
import { openBytesBlob } from '../../../../lib/read/bytes-blob.ts';
import {
  type DirectoryEntry,
  type FileAttributes,
  type MountedFileSystem,
  ROOT_INODE,
  type Soon,
} from '../../../../lib/serve/fuse/file-system.ts';
import { hiddenFeatures } from '../../../../lib/serve/fuse/shown-metadata.ts';
import { openTreeFileSystem } from '../../../../lib/serve/fuse/tree-file-system.ts';
import { sameValue } from '../../../helpers/archive-places.ts';
import { parseArchive, serializeEvents } from '../../../helpers/catar.ts';
import { golden } from '../../../helpers/golden.ts';
import { testBlob } from '../../../helpers/test-blobs.ts';
import { catarTrees, eventsOf } from '../../../property/catar-generators.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const bytes = (value: string): Uint8Array => Buffer.from(value, 'latin1');

/** A node as a plain parse gives it, with what is below it. */
interface Expected {
  readonly node: CatarNode;
  readonly content: Uint8Array[];
  readonly children: Map<string, Expected>;
}

function expectedTree(archive: Uint8Array): Expected {
  const open: Expected[] = [];
  let root: Expected | undefined;
  for (const event of parseArchive(archive)) {
    if (event.kind === 'data') open.at(-1)?.content.push(event.bytes);
    else if (event.kind === 'leave') open.pop();
    else {
      const entry = { node: event.node, content: [], children: new Map() };
      root ??= entry;
      open.at(-1)?.children.set(byteKey(event.name), entry);
      open.push(entry);
    }
  }
  if (root === undefined) throw new TypeError('no root');
  return root;
}

async function listed(
  system: MountedFileSystem,
  folder: number,
  from = 0,
  most = Number.POSITIVE_INFINITY,
): Promise<DirectoryEntry[]> {
  const entries: DirectoryEntry[] = [];
  await system.list(folder, from, (entry) => entries.length < most && entries.push(entry) > 0);
  return entries;
}

function linkCount({ node, children }: Expected): number {
  if (node.type !== 'directory') return 1;
  const below = [...children.values()].filter((child) => child.node.type === 'directory');
  return 2 + below.length;
}

async function checkNode(
  system: MountedFileSystem,
  found: FileAttributes,
  expected: Expected,
): Promise<string | undefined> {
  const { node, content } = expected;
  const { inode } = found;
  const wanted = {
    mode: node.mode,
    linkCount: linkCount(expected),
    uid: node.uid,
    gid: node.gid,
    size: node.linkTarget?.length ?? node.size,
    device: node.device,
  };
  const { mode, linkCount: count, uid, gid, size, device } = found;
  const shown = { mode, linkCount: count, uid, gid, size, device };
  if (!sameValue(shown, wanted)) return `attributes ${JSON.stringify([shown, wanted])}`;
  if (BigInt.asUintN(64, found.modifiedNs) !== node.mtime) return 'time';
  if (!sameValue(await system.attributes(inode), found)) return 'attributes again';
  if (node.type === 'symlink' && !sameValue(await system.readLink(inode), node.linkTarget)) {
    return 'target';
  }
  if (node.type === 'file') {
    const read = await system.read(inode, { offset: 0, length: node.size + 100 });
    if (text(concatBytes(read.pieces)) !== text(concatBytes(content))) return 'content';
    read.release();
  }
  const names = (await system.extendedAttributeNames(inode)).map(text);
  if (!node.xattrs.every(({ name }) => names.includes(text(name)))) return 'attribute names';
  for (const { name, value } of node.xattrs) {
    if (!sameValue(await system.extendedAttribute(inode, name), value)) return 'attribute';
  }
  return undefined;
}

/** Attributes of folders come as soon as somebody has looked for them. */
function bare({ attributes: _, ...entry }: DirectoryEntry): DirectoryEntry {
  return entry;
}

async function checkTree(
  system: MountedFileSystem,
  found: FileAttributes,
  expected: Expected,
  path = '/',
): Promise<string | undefined> {
  const problem = await checkNode(system, found, expected);
  if (problem !== undefined) return `${path}: ${problem}`;
  if (expected.node.type !== 'directory') return undefined;
  const entries = await listed(system, found.inode);
  if (
    !sameValue(
      entries.map(({ name }) => byteKey(name)),
      [...expected.children.keys()],
    )
  ) {
    return `${path}: names`;
  }
  for (const [i, { next }] of entries.entries()) {
    const rest = await listed(system, found.inode, next);
    if (!sameValue(rest.map(bare), entries.slice(i + 1).map(bare))) return `${path}: from ${i}`;
  }
  if (await system.lookup(found.inode, bytes('no such name'))) return `${path}: absent`;
  for (const entry of entries) {
    const child = expected.children.get(byteKey(entry.name));
    const attributes = await system.lookup(found.inode, entry.name);
    if (child === undefined || attributes === undefined) return `${path}: lookup`;
    if (entry.inode !== attributes.inode || entry.mode >> 12 !== attributes.mode >> 12) {
      return `${path}: entry`;
    }
    if (entry.attributes && !sameValue(entry.attributes, attributes)) return `${path}: plus`;
    const below = await checkTree(system, attributes, child, `${path}${text(entry.name)}/`);
    if (below !== undefined) return below;
    if (child.node.type === 'directory' && system.parentOf(attributes.inode) !== found.inode) {
      return `${path}: parent`;
    }
  }
  return undefined;
}

const ARCHIVES = [
  'tree/default.catar',
  ...['acl-dir', 'dir-fat', 'dir-none', 'dir-unix', 'dir', 'emptydir', 'excl', 'many'].map(
    (name) => `mini/${name}.catar`,
  ),
];

for (const name of ARCHIVES) {
  test(`the file system of ${name} is what a parse of it gives`, async (t) => {
    const { blob, counts } = testBlob(golden(name));
    const system = await openTreeFileSystem(blob);
    const root = await system.attributes(ROOT_INODE);
    t.is(await checkTree(system, root, expectedTree(golden(name))), undefined);
    t.is(counts.held, 0);
  });
}

test('the file system of any archive is what a parse of it gives', async (t) => {
  const seed = Date.now() % 1_000_000;
  t.log(`seed ${seed}`);
  await fc.assert(
    fc.asyncProperty(catarTrees(), fc.boolean(), async (tree, isLate) => {
      const archive = serializeEvents([...eventsOf(tree)]);
      const { blob, counts } = testBlob(archive, { isLate });
      const system = await openTreeFileSystem(blob);
      const root = await system.attributes(ROOT_INODE);
      t.is(await checkTree(system, root, expectedTree(archive)), undefined);
      t.is(counts.held, 0);
    }),
    { seed, numRuns: 60 },
  );
});

/** An archive whose root has these children. */
function archiveOf(children: readonly CatarEvent[], changes: Partial<CatarNode> = {}): Uint8Array {
  const [root, ...rest] = parseArchive(golden('mini/emptydir.catar'));
  if (root?.kind !== 'enter') throw new TypeError('no root');
  return serializeEvents([{ ...root, node: { ...root.node, ...changes } }, ...children, ...rest]);
}

function child(name: string, changes: Partial<CatarNode>, content = ''): CatarEvent[] {
  const [root] = parseArchive(golden('mini/emptydir.catar'));
  if (root?.kind !== 'enter') throw new TypeError('no root');
  const size = content.length;
  const node: CatarNode = { ...root.node, type: 'file', mode: 0o100644, ...changes, size };
  const data: CatarEvent[] = size === 0 ? [] : [{ kind: 'data', bytes: bytes(content) }];
  return [{ kind: 'enter', name: bytes(name), node }, ...data, { kind: 'leave' }];
}

test('extended attributes are those that a restored file has', async (t) => {
  const capabilities = Uint8Array.of(1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const acl = { users: [{ id: 7, permissions: 6 }], groups: [{ id: 9, permissions: 1 }] };
  const archive = archiveOf([
    ...child('full', {
      mode: 0o100674,
      xattrs: ['system.other', 'trusted.b', 'user.a'].map((name) => ({
        name: bytes(name),
        value: bytes(`value of ${name}`),
      })),
      acl: { ...acl, groupObject: 5 },
      selinuxLabel: bytes('a:b:c'),
      fileCapabilities: capabilities,
    }),
    ...child('plain', {}),
  ]);
  const system = await openTreeFileSystem(openBytesBlob(archive, 'x.catar'));
  const found = await system.lookup(ROOT_INODE, bytes('full'));
  const inode = found?.inode ?? 0;
  t.deepEqual((await system.extendedAttributeNames(inode)).map(text), [
    'trusted.b',
    'user.a',
    'security.capability',
    'security.selinux',
    'system.posix_acl_access',
  ]);
  const value = async (name: string) => await system.extendedAttribute(inode, bytes(name));
  t.deepEqual(await value('security.capability'), capabilities);
  t.is(text((await value('security.selinux')) ?? bytes('')), 'a:b:c\0');
  t.is(await value('system.other'), undefined);
  t.deepEqual(decodePosixAcl((await value('system.posix_acl_access')) ?? bytes('')), {
    userObject: 6,
    groupObject: 5,
    mask: 7,
    other: 4,
    ...acl,
  });
  t.is(found?.mode, 0o100674);
  const plain = await system.lookup(ROOT_INODE, bytes('plain'));
  t.deepEqual(await system.extendedAttributeNames(plain?.inode ?? 0), []);
});

test('a folder shows its default ACL', async (t) => {
  const system = await openTreeFileSystem(openBytesBlob(golden('mini/acl-dir.catar'), 'x.catar'));
  const value = await system.extendedAttribute(ROOT_INODE, bytes('system.posix_acl_default'));
  t.deepEqual(decodePosixAcl(value ?? bytes('')), {
    userObject: 7,
    groupObject: 5,
    mask: 7,
    other: 0,
    users: [
      { id: 1, permissions: 7 },
      { id: 33, permissions: 5 },
    ],
    groups: [{ id: 60, permissions: 4 }],
  });
});

test('owners and those named in ACLs are shifted', async (t) => {
  const acl = { users: [{ id: 5, permissions: 7 }], groups: [], groupObject: 4 };
  const archive = archiveOf(child('f', { uid: 70_000, gid: 3, acl }));
  const uidShift = { shift: 100_000, range: 65_536 };
  const system = await openTreeFileSystem(openBytesBlob(archive, 'x.catar'), { uidShift });
  const found = await system.lookup(ROOT_INODE, bytes('f'));
  t.like(found, { uid: 104_464, gid: 100_003 });
  const value = await system.extendedAttribute(found?.inode ?? 0, bytes('system.posix_acl_access'));
  t.deepEqual(decodePosixAcl(value ?? bytes('')).users, [{ id: 100_005, permissions: 7 }]);
});

test('flags of chattr and FAT and the quota project are shown', async (t) => {
  const entryFlags = Number(FEATURE.flagImmutable | FEATURE.flagHidden);
  const archive = archiveOf(child('f', { entryFlags, quotaProjectId: 42 }));
  const system = await openTreeFileSystem(openBytesBlob(archive, 'x.catar'));
  const found = await system.lookup(ROOT_INODE, bytes('f'));
  const flags = await system.inodeFlags(found?.inode ?? 0);
  t.deepEqual(flags, { chattr: 0x10, fat: 0x02, projectId: 42 });
});

test('times before 1970 are shown as such', async (t) => {
  const archive = archiveOf(child('f', { mtime: BigInt.asUintN(64, -5n) }));
  const system = await openTreeFileSystem(openBytesBlob(archive, 'x.catar'));
  t.is((await system.lookup(ROOT_INODE, bytes('f')))?.modifiedNs, -5n);
});

test('only names of owners and subvolumes are hidden', (t) => {
  const all = Object.values(FEATURE).reduce((flags, bit) => flags | bit, 0n);
  t.deepEqual(hiddenFeatures(all), ['user-names', 'subvolume', 'subvolume-ro']);
  t.deepEqual(hiddenFeatures(FEATURE.uids16 | FEATURE.acl), []);
});

test('parts of a file are read, and what is known of them is told', async (t) => {
  const archive = archiveOf([...child('a', {}, '0123456789'), ...child('b', {}, 'xyz')]);
  const content = text(archive).indexOf('0123456789');
  const blob = openBytesBlob(archive, 'x.catar');
  const extentAt = (offset: number) =>
    offset < content + 4
      ? { end: content + 4, isZero: false }
      : { end: archive.length, isZero: true };
  const system = await openTreeFileSystem({ ...blob, extentAt });
  const inode = (await system.lookup(ROOT_INODE, bytes('a')))?.inode ?? 0;
  const part = async (offset: number, length: number) =>
    text(concatBytes((await system.read(inode, { offset, length })).pieces));
  t.is(await part(0, 4), '0123');
  t.is(await part(4, 4), '4567');
  t.is(await part(8, 400), '89');
  t.is(await part(10, 1), '');
  t.is(await part(1000, 1), '');
  t.deepEqual(await system.extentAt(inode, 0), { end: 4, isZero: false });
  t.deepEqual(await system.extentAt(inode, 4), { end: 10, isZero: true });
});

test('a folder that is not known, or was forgotten, is an error', async (t) => {
  const system = await openTreeFileSystem(openBytesBlob(golden('mini/dir.catar'), 'x.catar'));
  const found = await system.lookup(ROOT_INODE, bytes('sub'));
  const inode = found?.inode ?? 0;
  await system.lookup(ROOT_INODE, bytes('sub'));
  system.forget(inode, 1);
  t.is((await listed(system, inode)).length, 2);
  system.forget(inode, 1);
  system.forget(ROOT_INODE, 1000);
  t.throws(() => system.parentOf(inode), { message: /^x\.catar: / });
  const asks = [
    () => system.attributes(inode),
    () => listed(system, inode),
    () => system.lookup(inode, bytes('f3')),
    () => system.attributes(12_345_678),
    () => system.attributes(3),
    () => system.read(ROOT_INODE, { offset: 0, length: 1 }),
    () => system.readLink(ROOT_INODE),
  ];
  for (const ask of asks) {
    const error = await t.throwsAsync(async () => ask());
    t.true(isCasError(error));
  }
  t.is((await listed(system, ROOT_INODE)).length, 3);
});

test('the attributes of a folder are listed as soon as its links are counted', async (t) => {
  const system = await openTreeFileSystem(openBytesBlob(golden('mini/dir.catar'), 'x.catar'));
  const sub = async () =>
    (await listed(system, ROOT_INODE)).find(({ name }) => text(name) === 'sub');
  t.is((await sub())?.attributes, undefined);
  const found = await system.lookup(ROOT_INODE, bytes('sub'));
  t.is(found?.linkCount, 3);
  t.deepEqual((await sub())?.attributes, found);
  // Both answers named it.
  system.forget(found?.inode ?? 0, 1);
  t.is(system.parentOf(found?.inode ?? 0), ROOT_INODE);
});

test('folders with very many entries are not counted', async (t) => {
  for (const count of [4096, 4097]) {
    const names = Array.from({ length: count }, (_, i) => `n${String(i).padStart(6, '0')}`);
    const fifo: Partial<CatarNode> = { type: 'fifo', mode: 0o010644 };
    const archive = archiveOf(names.flatMap((name) => child(name, fifo)));
    const system = await openTreeFileSystem(openBytesBlob(archive, 'x.catar'));
    t.is((await system.attributes(ROOT_INODE)).linkCount, count === 4096 ? 2 : 1);
    t.is(await system.lookup(ROOT_INODE, bytes('absent')), undefined);
    t.is((await listed(system, ROOT_INODE)).length, count);
  }
});

test('a folder below which something cannot be read is found, uncounted', async (t) => {
  const archive = golden('mini/dir-unix.catar').slice();
  // The mode of `f4` in `sub/deep`.
  archive[452 + 25] ^= 0xff;
  const system = await openTreeFileSystem(openBytesBlob(archive, 'x.catar'));
  const sub = await system.lookup(ROOT_INODE, bytes('sub'));
  const deep = await system.lookup(sub?.inode ?? 0, bytes('deep'));
  t.is(deep?.linkCount, 1);
  await t.throwsAsync(() => listed(system, deep?.inode ?? 0), { message: /^x\.catar: .*ENTRY/ });
  t.is((await listed(system, ROOT_INODE)).length, 3);
});

test('a name that a damaged table does not have is found all the same', async (t) => {
  const archive = golden('mini/dir-unix.catar');
  // The items of the root's table.
  for (let at = 801; at < 801 + 72; at++) {
    const forged = archive.slice();
    forged[at] ^= 0x40;
    const system = await openTreeFileSystem(openBytesBlob(forged, 'x.catar'));
    for (const name of ['f1', 'f2', 'sub']) {
      t.not(await system.lookup(ROOT_INODE, bytes(name)), undefined, `byte ${at}`);
    }
    t.is(await system.lookup(ROOT_INODE, bytes('f3')), undefined);
  }
});

test('a damaged archive gives errors or right answers', async (t) => {
  const archive = golden('mini/dir-unix.catar');
  for (let bit = 0; bit < 8 * archive.length; bit++) {
    const forged = archive.slice();
    forged[bit >> 3] ^= 1 << (bit % 8);
    try {
      const system = await openTreeFileSystem(openBytesBlob(forged, 'x.catar'));
      const expected = expectedTree(forged);
      const problem = await checkTree(system, await system.attributes(ROOT_INODE), expected);
      if (problem !== undefined) t.fail(`bit ${bit}: ${problem}`);
    } catch (error) {
      if (!isCasError(error)) t.fail(`bit ${bit}: ${error}`);
    }
  }
  t.pass();
});

test('whatever fails once succeeds the next time', async (t) => {
  const archive = golden('tree/default.catar');
  const failing = testBlob(archive, { failsFirst: true, isLate: true });
  const again = async <Value>(ask: () => Value | Promise<Value>): Promise<Value> => {
    for (let tries = 0; ; tries++) {
      try {
        return await ask();
      } catch (error) {
        if (!isCasError(error) || error.code !== 'IO' || tries > 30) throw error;
      }
    }
  };
  /** A folder that could not be counted has one link until then. */
  const counted = async (ask: () => Soon<FileAttributes | undefined>) => {
    for (let tries = 0; ; tries++) {
      const found = await again(ask);
      const isFolder = found !== undefined && found.mode >> 12 === 4;
      if (!isFolder || found.linkCount > 1 || tries > 30) return found;
    }
  };
  const inner = await again(() => openTreeFileSystem(failing.blob));
  const system: MountedFileSystem = {
    label: inner.label,
    hasAcls: inner.hasAcls,
    size: inner.size,
    lookup: (folder, name) => counted(() => inner.lookup(folder, name)),
    attributes: (inode) => counted(() => inner.attributes(inode)) as Promise<FileAttributes>,
    parentOf: (folder) => inner.parentOf(folder),
    async list(folder, from, take) {
      const entries = await again(() => listed(inner, folder, from));
      for (const entry of entries) if (!take(entry)) return;
    },
    readLink: (inode) => again(() => inner.readLink(inode)),
    read: (inode, range) => again(() => inner.read(inode, range)),
    extentAt: (inode, offset) => inner.extentAt(inode, offset),
    extendedAttributeNames: (inode) => again(() => inner.extendedAttributeNames(inode)),
    extendedAttribute: (inode, name) => again(() => inner.extendedAttribute(inode, name)),
    inodeFlags: (inode) => again(() => inner.inodeFlags(inode)),
    forget: (inode, count) => inner.forget(inode, count),
  };
  const root = await system.attributes(ROOT_INODE);
  t.is(await checkTree(system, root, expectedTree(archive)), undefined);
  t.is(failing.counts.held, 0);
});

test('calls may overlap', async (t) => {
  const archive = golden('tree/default.catar');
  const { blob, counts } = testBlob(archive, { isLate: true });
  const system = await openTreeFileSystem(blob);
  const root = await system.attributes(ROOT_INODE);
  const expected = expectedTree(archive);
  const problems = await Promise.all(
    Array.from({ length: 20 }, () => checkTree(system, root, expected)),
  );
  t.deepEqual([...new Set(problems)], [undefined]);
  t.is(counts.held, 0);
});

test('a request whose signal fires ends', async (t) => {
  const controller = new AbortController();
  const system = await openTreeFileSystem(
    testBlob(golden('mini/dir.catar'), { isLate: true }).blob,
  );
  controller.abort();
  const { signal } = controller;
  await t.throwsAsync(async () => system.lookup(ROOT_INODE, bytes('sub'), { signal }), {
    code: 'ABORTED',
  });
});
