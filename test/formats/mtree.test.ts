import test from 'ava';
import type { CatarNode } from '../../formats/catar-events.ts';
import type { DigestName } from '../../formats/chunk-id.ts';
import { ALL_FEATURES, FEATURE, maskFlags } from '../../formats/feature-flags.ts';
import { mtreeLine } from '../../formats/mtree.ts';
import { type ArchiveNode, archiveNodes } from '../helpers/archive-nodes.ts';
import { golden } from '../helpers/golden.ts';

/** The line of a node, with the digest of files under this label. */
function lineOf({ path, node, contentDigest }: ArchiveNode, label: DigestName): string {
  const shownFlags = maskFlags(node.featureFlags, ALL_FEATURES);
  const digest = node.type === 'file' ? { digest: { label, value: contentDigest } } : {};
  return mtreeLine(path, node, { shownFlags, ...digest });
}

for (const name of ['tree/default', 'chattr/nodump-included']) {
  test(`the lines of ${name} are those of the original`, (t) => {
    const nodes = archiveNodes(golden(`${name}.catar`));
    const text = nodes.map((node) => lineOf(node, 'sha512-256')).join('');
    t.is(text, new TextDecoder().decode(golden(`${name}.mtree`)));
  });
}

const NODE: CatarNode = {
  type: 'file',
  featureFlags: 0n,
  mode: 0o100644,
  entryFlags: 0,
  uid: 0,
  gid: 0,
  mtime: 0n,
  xattrs: [],
  size: 0,
};

const PATH = Uint8Array.of(0x61);

/** The line of a node whose archive records these features, all of them shown. */
function line(change: Partial<CatarNode>, featureFlags = 0n): string {
  return mtreeLine(PATH, { ...NODE, featureFlags, ...change }, { shownFlags: featureFlags });
}

test('without features only type, mode and size are left', (t) => {
  t.is(line({}), 'a type=file mode=0644 size=0\n');
});

test('the digest has the label that is asked for', (t) => {
  const [, entry] = archiveNodes(golden('mini/many.catar'));
  t.regex(lineOf(entry, 'sha256'), new RegExp(` sha256digest=${entry.contentDigest}\n$`));
  t.regex(lineOf(entry, 'sha512-256'), new RegExp(` sha512256digest=${entry.contentDigest}\n$`));
});

test('only recorded flags are shown', (t) => {
  t.is(
    line({ entryFlags: Number(FEATURE.flagSystem) }, FEATURE.flagSystem | FEATURE.flagNodump),
    'a type=file mode=0644 size=0 flags=system,nonodump\n',
  );
  t.false(line({}, FEATURE.flagCompr).includes('flags='));
});

test('a flag that is masked out counts as not set', (t) => {
  const { flagAppend } = FEATURE;
  const node = { ...NODE, featureFlags: flagAppend, entryFlags: Number(flagAppend) };
  t.regex(mtreeLine(PATH, node, { shownFlags: flagAppend }), / flags=sappend\n/);
  t.regex(mtreeLine(PATH, node, { shownFlags: 0n }), / flags=nosappend\n/);
});

test('nodes that cannot have flags show all as set, masked or not', (t) => {
  const flags = FEATURE.flagHidden | FEATURE.flagImmutable;
  const node: CatarNode = { ...NODE, type: 'fifo', mode: 0o010600, featureFlags: flags };
  const expected = 'a type=fifo mode=0600 flags=hidden,simmutable\n';
  t.is(mtreeLine(PATH, node, { shownFlags: flags }), expected);
  t.is(mtreeLine(PATH, node, { shownFlags: 0n }), expected);
});

test('a time before 1970 is shown as the huge number that is recorded', (t) => {
  const mtime = 2n ** 64n - 1n;
  t.regex(line({ mtime }, FEATURE.timeNsec), / time=18446744073\.709551615\n$/);
});

test('id 0 is root where names are shown and none is recorded', (t) => {
  t.regex(line({}, FEATURE.userNames), / uname=root gname=root\n$/);
  t.false(line({ uid: 5, gid: 5 }, FEATURE.userNames).includes('name='));
  t.false(line({}, FEATURE.uids32).includes('name='));
});

test('shifting tells who is root and leaves the numbers as recorded', (t) => {
  const featureFlags = FEATURE.userNames | FEATURE.uids32;
  const options = { shownFlags: featureFlags };
  const node = { ...NODE, featureFlags, uid: 12345, gid: 1, localOwner: { uid: 0, gid: 1 } };
  t.regex(mtreeLine(PATH, node, options), / uid=12345 gid=1 uname=root\n$/);
  const shifted = { ...node, uid: 0, localOwner: { uid: 1000, gid: 1001 } };
  t.regex(mtreeLine(PATH, shifted, options), / uid=0 gid=1\n$/);
});
