import test from 'ava';
import { entryJson } from '../../cli/entry-json.ts';
import { jsonLine, textField } from '../../cli/json-text.ts';
import type { CatarNode } from '../../formats/catar-events.ts';
import type { ChunkId } from '../../formats/chunk-id.ts';
import { ALL_FEATURES, FEATURE } from '../../formats/feature-flags.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const NODE: CatarNode = {
  type: 'file',
  featureFlags: ALL_FEATURES,
  mode: 0o104755,
  entryFlags: Number(FEATURE.flagNodump | FEATURE.flagImmutable),
  uid: 1000,
  gid: 0,
  mtime: 1_614_834_367_123_456_789n,
  user: bytes('lennart'),
  xattrs: [{ name: bytes('user.a'), value: bytes('\x00\xff') }],
  acl: { users: [{ id: 5, permissions: 6, name: bytes('u') }], groups: [], groupObject: 4 },
  selinuxLabel: bytes('label'),
  fileCapabilities: bytes('caps'),
  quotaProjectId: 7,
  size: 12,
};

test('an entry has everything that is recorded', (t) => {
  const contentDigest = 'ab'.repeat(32) as ChunkId;
  t.deepEqual(entryJson(bytes('a/b'), NODE, { shownFlags: ALL_FEATURES, contentDigest }), {
    path: 'a/b',
    type: 'file',
    mode: '4755',
    size: 12,
    uid: 1000,
    gid: 0,
    user: 'lennart',
    mtime: '2021-03-04T05:06:07.123456789Z',
    flags: ['flag-nodump', 'flag-immutable'],
    xattrs: [{ name: 'user.a', value: 'AP8=' }],
    acl: { groupObject: 'r--', users: [{ id: 5, name: 'u', permissions: 'rw-' }], groups: [] },
    selinux: 'label',
    fileCapabilities: 'Y2Fwcw==',
    projectId: 7,
    digest: contentDigest,
  });
});

test('what the mask hides is left out', (t) => {
  t.deepEqual(entryJson(bytes(''), NODE, { shownFlags: 0n }), {
    path: '.',
    type: 'file',
    mode: '4755',
    size: 12,
  });
});

test('links and devices have their own fields, default ACLs too', (t) => {
  const shown = { shownFlags: ALL_FEATURES };
  const plain = { ...NODE, entryFlags: 0, xattrs: [], acl: undefined };
  const link = { ...plain, type: 'symlink' as const, linkTarget: bytes('../x') };
  t.like(entryJson(bytes('l'), link, shown), { type: 'symlink', target: '../x', size: undefined });
  const device = { ...plain, type: 'block-device' as const, device: { major: 8, minor: 1 } };
  t.like(entryJson(bytes('d'), device, shown), { device: { major: 8, minor: 1 } });
  const defaultAcl = { userObject: 7, groupObject: 5, other: 0, users: [], groups: [] };
  const folder = { ...plain, type: 'directory' as const, defaultAcl };
  t.deepEqual(entryJson(bytes('f'), folder, shown).defaultAcl, {
    userObject: 'rwx',
    groupObject: 'r-x',
    other: '---',
    users: [],
    groups: [],
  });
});

test('names that are not UTF-8 come as bytes, too', (t) => {
  t.deepEqual(textField('path', Buffer.from('m\u00fcller')), { path: 'm\u00fcller' });
  t.deepEqual(textField('path', bytes('a\xff')), { path: 'a\ufffd', pathBase64: 'Yf8=' });
});

test('the latest time that can be recorded is a date', (t) => {
  const node = { ...NODE, mtime: 2n ** 64n - 2n };
  t.is(
    entryJson(bytes('a'), node, { shownFlags: ALL_FEATURES }).mtime,
    '2554-07-21T23:34:33.709551614Z',
  );
});

test('nothing in a line can be obeyed by a terminal', (t) => {
  const line = jsonLine({ path: 'a\u001b[1m\u0007\n\u009b\u007f\u2028', size: 1n });
  t.is(line, '{"path":"a\\u001b[1m\\u0007\\n\\u009b\\u007f\\u2028","size":"1"}\n');
  t.deepEqual(JSON.parse(line), { path: 'a\u001b[1m\u0007\n\u009b\u007f\u2028', size: '1' });
});
