/** What a reader accepts beyond the damaged archives of the corpus, and under small limits. */
import test from 'ava';
import { concatBytes } from '../../formats/bytes.ts';
import { DEFAULT_DECODE_LIMITS, type DecodeLimits } from '../../formats/decode-limits.ts';
import { FormatError } from '../../formats/errors.ts';
import { FEATURE, normaliseFlags } from '../../formats/feature-flags.ts';
import { entered, parseArchive } from '../helpers/catar.ts';
import {
  bare,
  bytesOf,
  cString,
  DEFAULT_FLAGS,
  directory,
  type ForgedNode,
  file,
  forgeArchive,
  record,
  symlink,
  u64s,
} from '../hostile/forge.ts';

const NO_NUMBERS = DEFAULT_FLAGS & ~(FEATURE.uids16 | FEATURE.uids32);

const user = (name: string): Uint8Array => record('USER', cString(name));
const xattr = (name: string, value: string | Uint8Array = 'v'): Uint8Array =>
  record('XATTR', concatBytes([cString(name), bytesOf(value)]));
const aclUser = (id: number, permissions: number, name?: string): Uint8Array => {
  const parts = [u64s(id, permissions), ...(name === undefined ? [] : [cString(name)])];
  return record('ACL_USER', concatBytes(parts));
};
const groupObject = record('ACL_GROUP_OBJ', u64s(5));

/** The same nodes under other feature flags. */
function withFlags(featureFlags: bigint, node: ForgedNode): ForgedNode {
  const children = node.children?.map(
    ([name, child]) => [name, withFlags(featureFlags, child)] as const,
  );
  return {
    ...node,
    entry: { ...node.entry, featureFlags },
    ...(children === undefined ? {} : { children }),
  };
}

/** An archive whose root has one child. */
function archiveOf(child: ForgedNode, featureFlags = DEFAULT_FLAGS): Uint8Array {
  return forgeArchive(withFlags(featureFlags, directory([['a', child]])));
}

function accepts(archive: Uint8Array, limits: Partial<DecodeLimits> = {}): boolean {
  try {
    parseArchive(archive, { limits: { ...DEFAULT_DECODE_LIMITS, ...limits } });
    return true;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

test('user names that databases really have are read, others are refused', (t) => {
  const read = (name: string): boolean => accepts(archiveOf(file('', { records: [user(name)] })));
  for (const name of [
    'joe',
    'a.b',
    'machine$',
    'm\u00fcller',
    '\u65e5\u672c',
    'DOM\\user',
    'domain users',
  ]) {
    t.true(read(name), name);
  }
  for (const name of ['root', '1abc', '-a', 'a:b', 'a/b', 'a\nb', 'a\u007f', '12345']) {
    t.false(read(name), name);
  }
});

test('names that are numbers are read where owners have no numbers', (t) => {
  t.true(accepts(archiveOf(file('', { records: [user('12345')] }), NO_NUMBERS)));
  t.false(accepts(archiveOf(file('', { records: [user('12345x')] }), NO_NUMBERS)));
});

test('names of owners may be absent: those of root are', (t) => {
  const events = parseArchive(archiveOf(file('x'), NO_NUMBERS));
  t.is(entered(events)[1]?.node.user, undefined);
});

test('microseconds need not be milliseconds', (t) => {
  const flags = normaliseFlags((DEFAULT_FLAGS & ~FEATURE.timeNsec) | FEATURE.timeUsec);
  const at = (mtime: number): Uint8Array =>
    forgeArchive(withFlags(flags, directory([], { entry: { mtime } })));
  t.true(accepts(at(1_000_000_001_000)));
  t.false(accepts(at(1_000_000_000_001)));
});

test('a record needs its feature flag', (t) => {
  const records: readonly (readonly [bigint, Uint8Array])[] = [
    [FEATURE.userNames, user('joe')],
    [FEATURE.userNames, record('GROUP', cString('joe'))],
    [FEATURE.xattrs, xattr('user.a')],
    [FEATURE.acl, groupObject],
    [FEATURE.selinux, record('SELINUX', cString('label'))],
    [FEATURE.fileCapabilities, record('FCAPS', bytesOf('caps'))],
    [FEATURE.quotaProjectId, record('QUOTA_PROJID', u64s(5))],
  ];
  for (const [flag, bytes] of records) {
    const archive = (flags: bigint): Uint8Array => {
      const mode = (flags & FEATURE.acl) === 0n ? 0o100666 : 0o100644;
      const root = directory([['a', file('', { records: [bytes], entry: { mode } })]], {
        entry: { mode: (flags & FEATURE.acl) === 0n ? 0o040777 : 0o040755 },
      });
      return forgeArchive(withFlags(flags, root));
    };
    t.true(accepts(archive(DEFAULT_FLAGS)));
    t.false(accepts(archive(DEFAULT_FLAGS & ~flag)), `0x${flag.toString(16)}`);
  }
});

test('ACL entries ascend by id, then name, an absent one first, then permissions', (t) => {
  const acl = (...entries: readonly Uint8Array[]): boolean =>
    accepts(archiveOf(file('', { records: [...entries, groupObject] })));
  t.true(acl(aclUser(1, 7), aclUser(1, 6, 'joa'), aclUser(1, 7, 'joa'), aclUser(1, 0, 'joe')));
  t.false(acl(aclUser(1, 6, 'joe'), aclUser(1, 6)));
  t.false(acl(aclUser(1, 6), aclUser(1, 6)));
  t.false(acl(aclUser(1, 7), aclUser(1, 6)));
});

test('names in ACL entries need the feature flag and obey the rules of owners', (t) => {
  const acl = (entry: Uint8Array, flags = DEFAULT_FLAGS): boolean =>
    accepts(archiveOf(file('', { records: [entry, groupObject] }), flags));
  t.true(acl(aclUser(1, 6, 'a.b')));
  t.false(acl(aclUser(0, 6, 'root')));
  t.false(acl(aclUser(1, 6, '')));
  t.false(acl(aclUser(1, 6, 'joe'), DEFAULT_FLAGS & ~FEATURE.userNames));
});

test('a fifo ends where its folder goes on, whatever kind of record that is', (t) => {
  const fifo = bare(0o010644);
  const archive = forgeArchive(
    directory([
      ['a', fifo],
      ['b', fifo],
      ['c', file('x')],
    ]),
  );
  const events = parseArchive(archive);
  t.deepEqual(
    entered(events).map(({ node }) => node.type),
    ['directory', 'fifo', 'fifo', 'file'],
  );
  t.true(accepts(forgeArchive(directory([['a', fifo]]))));
});

test('a FILENAME without its node is refused', (t) => {
  const name = record('FILENAME', cString('a'));
  t.false(accepts(forgeArchive(directory([], { records: [name] }))));
  t.false(accepts(forgeArchive(directory([], { records: [name, name] }))));
});

test('sizes beyond 2^53 are refused', (t) => {
  for (const size of [2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
    const payload = record('PAYLOAD', new Uint8Array(), size);
    t.false(accepts(archiveOf({ ...file(), records: [payload] })), `${size}`);
  }
});

test('a record that claims too much is refused before its body has come', (t) => {
  const names = ['FILENAME', 'XATTR', 'SELINUX', 'FCAPS', 'USER', 'ACL_USER', 'GOODBYE'] as const;
  for (const name of names) {
    const header = record(name, new Uint8Array(), 2n ** 40n);
    const archive = archiveOf(
      directory([], { records: [header], goodbye: () => new Uint8Array() }),
    );
    const error = t.throws(() => parseArchive(archive.subarray(0, 82 + 64 + 16)), {
      instanceOf: FormatError,
    });
    t.is(error?.record, name);
    t.is(error?.offset, 82 + 64);
  }
});

test('every limit is obeyed exactly', (t) => {
  const nested = directory([['b', directory([['c', file('')]])]]);
  const attributes = [xattr('user.a'), xattr('user.b'), aclUser(1, 7), groupObject];
  const three: ForgedNode['children'] = [
    ['a', file('')],
    ['b', file('')],
    ['c', file('')],
  ];
  const cases: readonly (readonly [keyof DecodeLimits, number, Uint8Array])[] = [
    ['maxNameLength', 7, forgeArchive(directory([['1234567', file('')]]))],
    ['maxTargetLength', 7, archiveOf(symlink('1234567'))],
    [
      'maxTargetLength',
      7,
      archiveOf(file('', { records: [record('SELINUX', cString('1234567'))] })),
    ],
    ['maxOwnerNameLength', 7, archiveOf(file('', { records: [user('abcdefg')] }))],
    [
      'maxOwnerNameLength',
      7,
      archiveOf(file('', { records: [aclUser(1, 7, 'abcdefg'), groupObject] })),
    ],
    ['maxXattrNameLength', 7, archiveOf(file('', { records: [xattr('user.ab')] }))],
    ['maxXattrValueLength', 7, archiveOf(file('', { records: [xattr('user.ab', '1234567')] }))],
    [
      'maxXattrValueLength',
      7,
      archiveOf(file('', { records: [record('FCAPS', bytesOf('1234567'))] })),
    ],
    ['maxAttributeCount', 3, archiveOf(file('', { records: attributes }))],
    ['maxAttributeBytes', 8 + 8 + 16, archiveOf(file('', { records: attributes }))],
    ['maxDepth', 4, archiveOf(nested)],
    ['maxDirectoryEntries', 3, forgeArchive(directory(three))],
  ];
  for (const [limit, value, archive] of cases) {
    t.true(accepts(archive, { [limit]: value }), limit);
    t.false(accepts(archive, { [limit]: value - 1 }), limit);
  }
});
