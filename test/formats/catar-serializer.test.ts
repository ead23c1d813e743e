/** What the serializer refuses, and what it promises about its output. */
import test from 'ava';
import { asciiBytes } from '../../formats/bytes.ts';
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import { CatarSerializer } from '../../formats/catar-serializer.ts';
import { CasError, FormatError } from '../../formats/errors.ts';
import { hashName } from '../../formats/goodbye.ts';
import { entered, parseArchive, serializeEvents } from '../helpers/catar.ts';
import { golden } from '../helpers/golden.ts';
import { DEFAULT_FLAGS } from '../hostile/forge.ts';

const DIRECTORY: CatarNode = {
  type: 'directory',
  featureFlags: DEFAULT_FLAGS,
  mode: 0o040755,
  entryFlags: 0,
  uid: 0,
  gid: 0,
  mtime: 1n,
  xattrs: [],
  size: 0,
};
const FILE: CatarNode = { ...DIRECTORY, type: 'file', mode: 0o100644 };
const ROOT = enter('', DIRECTORY);
const LEAVE: CatarEvent = { kind: 'leave' };

function enter(name: string, node: CatarNode): CatarEvent {
  return { kind: 'enter', name: asciiBytes(name), node };
}

function data(text: string): CatarEvent {
  return { kind: 'data', bytes: asciiBytes(text) };
}

/** The archive of a root with one child. */
function withChild(node: CatarNode, ...content: readonly CatarEvent[]): Uint8Array {
  return serializeEvents([ROOT, enter('a', node), ...content, LEAVE, LEAVE]);
}

const refused = { instanceOf: FormatError };
const changed = { instanceOf: CasError, code: 'SOURCE_CHANGED' };

test('content longer or shorter than promised is an error', (t) => {
  const node = { ...FILE, size: 3 };
  t.notThrows(() => withChild(node, data('a'), data('bc')));
  t.throws(() => withChild(node, data('abcd')), changed);
  t.throws(() => withChild(node, data('ab'), data('cd')), changed);
  t.throws(() => withChild(node, data('ab')), changed);
  t.throws(() => withChild(node), changed);
});

test('content is passed through without a copy', (t) => {
  const serializer = new CatarSerializer(DEFAULT_FLAGS);
  serializer.push(ROOT);
  serializer.push(enter('a', { ...FILE, size: 3 }));
  const bytes = asciiBytes('abc');
  t.is(serializer.push({ kind: 'data', bytes })[0], bytes);
});

test('the offset counts what was given out', (t) => {
  const serializer = new CatarSerializer(DEFAULT_FLAGS);
  let length = 0;
  for (const event of parseArchive(golden('mini/dir.catar'))) {
    for (const part of serializer.push(event)) length += part.length;
    t.is(serializer.offset, length);
  }
  t.is(length, golden('mini/dir.catar').length);
});

test('children must ascend strictly', (t) => {
  const archive = (...names: readonly string[]): Uint8Array => {
    const children = names.flatMap((name) => [enter(name, FILE), LEAVE]);
    return serializeEvents([ROOT, ...children, LEAVE]);
  };
  t.notThrows(() => archive('B', 'a', 'a-', 'a.', 'aa'));
  t.throws(() => archive('b', 'a'), refused);
  t.throws(() => archive('a', 'a'), refused);
  t.throws(() => archive('aa', 'a'), refused);
});

test('names that are no path component are refused', (t) => {
  for (const name of ['', '.', '..', 'a/b', '/', 'a\0']) {
    const events = [ROOT, enter(name, FILE), LEAVE, LEAVE];
    t.throws(() => serializeEvents(events), refused, JSON.stringify(name));
  }
  t.notThrows(() => serializeEvents([ROOT, enter('...', FILE), LEAVE, LEAVE]));
});

test('64 nodes from the root to the deepest are written, 65 are not', (t) => {
  const nested = (depth: number): Uint8Array => {
    const enters = Array.from({ length: depth - 1 }, () => enter('d', DIRECTORY));
    return serializeEvents([ROOT, ...enters, ...Array<CatarEvent>(depth).fill(LEAVE)]);
  };
  t.is(entered(parseArchive(nested(64))).length, 64);
  t.throws(() => nested(65), { ...refused, message: /at most 64 nodes/ });
});

test('the root is a directory without a name', (t) => {
  t.throws(() => serializeEvents([enter('', FILE), LEAVE]), refused);
  t.throws(() => serializeEvents([enter('a', DIRECTORY), LEAVE]), refused);
});

test('feature flags must be normalised and the same in all nodes', (t) => {
  t.throws(() => new CatarSerializer(1n << 40n), refused);
  t.throws(() => new CatarSerializer(DEFAULT_FLAGS | (1n << 8n)), refused);
  const other = DEFAULT_FLAGS & ~(1n << 61n);
  t.throws(() => withChild({ ...FILE, featureFlags: other }), refused);
});

const name = asciiBytes('user.a');
const value = asciiBytes('v');
const group = { id: 1, permissions: 7 };
const objects = { userObject: 7, groupObject: 7, other: 7 };

const IMPOSSIBLE: readonly (readonly [what: string, node: CatarNode])[] = [
  ['a type that the mode contradicts', { ...FILE, mode: 0o040755 }],
  ['mode bits above 07777', { ...FILE, mode: 0o1100644 }],
  ['a negative owner', { ...FILE, uid: -1 }],
  ['owner 65535', { ...FILE, gid: 65535 }],
  ['time 2^64-1', { ...FILE, mtime: 2n ** 64n - 1n }],
  ['an empty owner name', { ...FILE, user: asciiBytes('') }],
  ['an owner name with NUL', { ...FILE, group: asciiBytes('a\0b') }],
  ['an owner name of 256 bytes', { ...FILE, user: asciiBytes('u'.repeat(256)) }],
  [
    'attributes out of order',
    {
      ...FILE,
      xattrs: [
        { name: asciiBytes('user.b'), value },
        { name, value },
      ],
    },
  ],
  [
    'an attribute twice',
    {
      ...FILE,
      xattrs: [
        { name, value },
        { name, value },
      ],
    },
  ],
  ['an attribute without namespace', { ...FILE, xattrs: [{ name: value, value }] }],
  ['a huge attribute', { ...FILE, xattrs: [{ name, value: new Uint8Array(65537) }] }],
  ['ACL entries without group object', { ...FILE, acl: { users: [group], groups: [] } }],
  [
    'ACL entries out of order',
    { ...FILE, acl: { users: [group, group], groups: [], groupObject: 7 } },
  ],
  ['a default ACL on a file', { ...FILE, defaultAcl: { ...objects, users: [], groups: [] } }],
  ['a default ACL without owner', { ...DIRECTORY, defaultAcl: { users: [], groups: [] } }],
  [
    'default entries without mask',
    { ...DIRECTORY, defaultAcl: { ...objects, users: [group], groups: [] } },
  ],
  ['capabilities of a directory', { ...DIRECTORY, fileCapabilities: value }],
  ['project 0', { ...FILE, quotaProjectId: 0 }],
  ['a label with NUL', { ...FILE, selinuxLabel: asciiBytes('a\0') }],
  ['a link target of a file', { ...FILE, linkTarget: value }],
  ['a link without target', { ...FILE, type: 'symlink', mode: 0o120777 }],
  ['a device without number', { ...FILE, type: 'block-device', mode: 0o060644 }],
  ['a device number of a file', { ...FILE, device: { major: 1, minor: 1 } }],
  ['content of a directory', { ...DIRECTORY, size: 5 }],
  ['a content length that is no integer', { ...FILE, size: 0.5 }],
];

for (const [what, node] of IMPOSSIBLE) {
  test(`refused: ${what}`, (t) => {
    t.throws(() => withChild(node), refused);
  });
}

test('owner names are written as the user database has them', (t) => {
  const user = Uint8Array.of(0x31, 0x2e, 0xff, 0x20);
  t.notThrows(() => withChild({ ...FILE, uid: 5, user }));
});

test('events in an impossible order are mistakes of the caller', (t) => {
  const mistake = { instanceOf: TypeError };
  t.throws(() => new CatarSerializer(DEFAULT_FLAGS).end(), mistake);
  t.throws(() => serializeEvents([ROOT]), mistake);
  t.throws(() => serializeEvents([ROOT, LEAVE, LEAVE]), mistake);
  t.throws(() => serializeEvents([ROOT, data('a'), LEAVE]), mistake);
  t.throws(() => serializeEvents([ROOT, LEAVE, ROOT, LEAVE]), mistake);
  t.throws(() => serializeEvents([ROOT, enter('a', FILE), enter('b', FILE)]), mistake);
});

test('a hundred thousand children of one directory are written and read', (t) => {
  const children = Array.from({ length: 100_000 }, (_, i) => [
    enter(`n${String(i).padStart(6, '0')}`, FILE),
    LEAVE,
  ]).flat();
  const archive = serializeEvents([ROOT, ...children, LEAVE]);
  t.is(entered(parseArchive(archive)).length, 100_001);
});

/** Note of one empty file, packed elsewhere. */
function packedFile(name: string) {
  const { low, high } = hashName(asciiBytes(name));
  const size = 16 + name.length + 1 + 64 + 16;
  const table = Uint32Array.of(size, low, high);
  return { firstName: asciiBytes(name), lastName: asciiBytes(name), table };
}

test('packed children stand in the table like those that were pushed', (t) => {
  const whole = serializeEvents([
    ROOT,
    ...['a', 'b', 'c'].flatMap((name) => [enter(name, FILE), LEAVE]),
    LEAVE,
  ]);
  const serializer = new CatarSerializer(DEFAULT_FLAGS);
  serializer.push(ROOT);
  serializer.push(enter('a', FILE));
  serializer.push(LEAVE);
  serializer.pushPacked(packedFile('b'));
  serializer.push(enter('c', FILE));
  serializer.push(LEAVE);
  const [goodbye] = serializer.push(LEAVE);
  t.is(serializer.offset, whole.length);
  t.deepEqual(goodbye, whole.slice(-goodbye.length));
});

test('packed children come in order, into directories that may have them', (t) => {
  const serializer = new CatarSerializer(DEFAULT_FLAGS);
  t.throws(() => serializer.pushPacked(packedFile('a')), { instanceOf: TypeError });
  serializer.push(ROOT);
  serializer.pushPacked(packedFile('b'));
  t.throws(() => serializer.pushPacked(packedFile('b')), refused);
  t.throws(() => serializer.push(enter('a', FILE)), refused);
  serializer.push(enter('c', FILE));
  t.throws(() => serializer.pushPacked(packedFile('d')), { instanceOf: TypeError });
});
