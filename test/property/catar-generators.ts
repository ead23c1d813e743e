/**
 * fast-check arbitraries for valid archives, as events: every feature flag, every kind of node,
 * every kind of metadata. Used by property tests of codecs, extraction and conversions.
 */
import fc from 'fast-check';
import { byteKey, compareBytes } from '../../formats/bytes.ts';
import type {
  AccessAcl,
  AclEntry,
  CatarEvent,
  CatarNode,
  DefaultAcl,
  NodeType,
  Xattr,
} from '../../formats/catar-events.ts';
import { FEATURE, normaliseFlags, timeGranularity } from '../../formats/feature-flags.ts';

/** A node with all that is below it. */
export interface CatarTree {
  readonly node: CatarNode;
  /** Content of a file; empty for everything else. */
  readonly content: Uint8Array;
  /** Children of a directory, ascending by name; empty for everything else. */
  readonly children: readonly (readonly [name: Uint8Array, tree: CatarTree])[];
}

export interface CatarTreeOptions {
  /** Only what the original casync reads back. */
  readonly readableByReference?: boolean;
  /** Nodes from the root to a leaf. Default 3. */
  readonly maxDepth?: number;
}

/** What the arbitraries of single fields need to know of the archive. */
interface Archive {
  readonly flags: bigint;
  readonly readableByReference: boolean;
}

const TYPE_BITS: Readonly<Record<NodeType, number>> = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000,
  'character-device': 0o020000,
  'block-device': 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
};

const OPTIONAL_TYPES: readonly (readonly [flag: bigint, types: readonly NodeType[]])[] = [
  [FEATURE.symlinks, ['symlink']],
  [FEATURE.deviceNodes, ['character-device', 'block-device']],
  [FEATURE.fifos, ['fifo']],
  [FEATURE.sockets, ['socket']],
];

const NUMERIC_OWNERS = FEATURE.uids16 | FEATURE.uids32;
const TIMES = FEATURE.timeNsec | FEATURE.timeUsec | FEATURE.timeSec | FEATURE.time2Sec;
const DEFAULT_MAX_DEPTH = 3;

/** Normalised feature flags of any kind. */
export function featureFlags(options: CatarTreeOptions = {}): fc.Arbitrary<bigint> {
  return fc
    .subarray(Object.values(FEATURE))
    .map((bits) => bits.reduce((flags, bit) => flags | bit, 0n))
    .map((flags) => (options.readableByReference === true ? withoutReferenceBugs(flags) : flags))
    .map(normaliseFlags);
}

/** The root of an archive; `node.featureFlags` tells its flags. */
export function catarTrees(options: CatarTreeOptions = {}): fc.Arbitrary<CatarTree> {
  const { readableByReference = false, maxDepth = DEFAULT_MAX_DEPTH } = options;
  return featureFlags(options).chain((flags) =>
    nodeOf('directory', { flags, readableByReference }, maxDepth),
  );
}

/** The events of a tree, without offsets. @param name of its top; the root's is empty */
export function* eventsOf(
  tree: CatarTree,
  name: Uint8Array = new Uint8Array(),
): Generator<CatarEvent> {
  yield { kind: 'enter', name, node: tree.node };
  if (tree.content.length > 0) yield { kind: 'data', bytes: tree.content };
  for (const [childName, child] of tree.children) yield* eventsOf(child, childName);
  yield { kind: 'leave' };
}

/** The reference cannot read some archives that it writes: no numeric owners, whole microseconds. */
function withoutReferenceBugs(flags: bigint): bigint {
  const owners = (flags & NUMERIC_OWNERS) === 0n ? FEATURE.uids32 : 0n;
  return (flags | owners) & ~FEATURE.timeUsec;
}

function has(archive: Archive, flag: bigint): boolean {
  return (archive.flags & flag) !== 0n;
}

function nodeOf(type: NodeType, archive: Archive, depth: number): fc.Arbitrary<CatarTree> {
  const content =
    type === 'file' ? fc.uint8Array({ maxLength: 200 }) : fc.constant(new Uint8Array());
  const children = type === 'directory' ? childrenOf(archive, depth - 1) : fc.constant([]);
  return fc.tuple(properties(type, archive), content, children).map(([node, bytes, list]) => ({
    node: { ...node, size: bytes.length },
    content: bytes,
    children: list,
  }));
}

function childrenOf(archive: Archive, depth: number): fc.Arbitrary<CatarTree['children']> {
  if (depth === 0) return fc.constant([]);
  const optional = OPTIONAL_TYPES.filter(([flag]) => has(archive, flag)).flatMap(([, all]) => all);
  const type = fc.constantFrom<NodeType>('directory', 'file', 'file', ...optional);
  const child = type.chain((chosen) => fc.tuple(fileNames(), nodeOf(chosen, archive, depth)));
  return fc
    .uniqueArray(child, { maxLength: 5, selector: ([name]) => byteKey(name) })
    .map((children) => children.toSorted(([a], [b]) => compareBytes(a, b)));
}

/** One path component: any bytes but `/` and NUL. */
export function fileNames(): fc.Arbitrary<Uint8Array> {
  const byte = fc.integer({ min: 1, max: 255 }).filter((value) => value !== 0x2f);
  const anything = fc.array(byte, { minLength: 1, maxLength: 12 });
  const simple = fc.stringMatching(/^[a-z.]{1,6}$/).map((name) => [...encode(name)]);
  return fc
    .oneof(simple, anything)
    .filter((bytes) => bytes.length > 2 || bytes.some((value) => value !== 0x2e))
    .map((bytes) => Uint8Array.from(bytes));
}

function properties(type: NodeType, archive: Archive): fc.Arbitrary<CatarNode> {
  const step = timeGranularity(archive.flags);
  const hasContent = type === 'file' || type === 'directory';
  const optional = <T>(wanted: boolean, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    wanted ? fc.option(arbitrary, { nil: undefined }) : fc.constant(undefined);
  const isDevice = type === 'character-device' || type === 'block-device';
  return record({
    type: fc.constant(type),
    featureFlags: fc.constant(archive.flags),
    mode: modes(type, archive),
    entryFlags: entryFlags(type, archive),
    uid: ids(archive),
    gid: ids(archive),
    mtime: has(archive, TIMES) ? times(step) : fc.constant(0n),
    user: optional(has(archive, FEATURE.userNames), ownerNames(archive)),
    group: optional(has(archive, FEATURE.userNames), ownerNames(archive)),
    xattrs: has(archive, FEATURE.xattrs) && hasContent ? xattrs() : fc.constant([]),
    acl: optional(has(archive, FEATURE.acl) && type !== 'symlink', accessAcls(archive)),
    defaultAcl: optional(has(archive, FEATURE.acl) && type === 'directory', defaultAcls(archive)),
    selinuxLabel: optional(has(archive, FEATURE.selinux), texts(40)),
    fileCapabilities: optional(
      has(archive, FEATURE.fileCapabilities) && type === 'file',
      fc.uint8Array({ minLength: 20, maxLength: 24 }),
    ),
    quotaProjectId: optional(
      has(archive, FEATURE.quotaProjectId) && hasContent,
      fc.integer({ min: 1, max: 0xffff_ffff }),
    ),
    size: fc.constant(0),
    linkTarget: type === 'symlink' ? texts(60) : fc.constant(undefined),
    device: isDevice ? devices() : fc.constant(undefined),
  }).map(withoutAbsent);
}

/** Plain objects, which `deepEqual` of parsed ones needs. */
function record<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

/** Absent properties are no properties at all, as in the parser's nodes. */
function withoutAbsent<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

function modes(type: NodeType, archive: Archive): fc.Arbitrary<number> {
  const bits = TYPE_BITS[type];
  if (type === 'symlink') return fc.constant(bits | 0o777);
  if (has(archive, FEATURE.permissions | FEATURE.acl)) {
    return fc.integer({ min: 0, max: 0o7777 }).map((permissions) => bits | permissions);
  }
  const [writable, readOnly] = type === 'directory' ? [0o777, 0o555] : [0o666, 0o444];
  if (!has(archive, FEATURE.readOnly)) return fc.constant(bits | writable);
  return fc.constantFrom(bits | writable, bits | readOnly);
}

function entryFlags(type: NodeType, archive: Archive): fc.Arbitrary<number> {
  if (type !== 'file' && type !== 'directory') return fc.constant(0);
  const allowed = Number(archive.flags & (type === 'directory' ? 0x0fff_e000n : 0x03ff_e000n));
  return fc.nat({ max: 0x0fff_ffff }).map((bits) => bits & allowed);
}

function ids(archive: Archive): fc.Arbitrary<number> {
  if (!has(archive, NUMERIC_OWNERS)) return fc.constant(0);
  const max = has(archive, FEATURE.uids32) ? 0xffff_fffe : 0xfffe;
  const any = fc.integer({ min: 0, max }).filter((id) => id !== 0xffff);
  return fc.oneof(fc.constantFrom(0, 1, 1000, max), any);
}

function times(step: bigint): fc.Arbitrary<bigint> {
  return fc.bigInt({ min: 0n, max: 2n ** 64n - 2n }).map((time) => time - (time % step));
}

function ownerNames(archive: Archive): fc.Arbitrary<Uint8Array> {
  const plain = fc
    .stringMatching(/^[A-Za-z_][A-Za-z0-9_-]{0,20}$/)
    .filter((name) => name !== 'root');
  if (archive.readableByReference) return plain.map(encode);
  const numbers = has(archive, NUMERIC_OWNERS) ? [] : [fc.constantFrom('0', '12345')];
  const special = fc.constantFrom(
    'a.b',
    'machine$',
    'm\u00fcller',
    '\u65e5\u672c',
    'DOM\\user',
    'a b',
  );
  return fc.oneof(plain, special, ...numbers).map(encode);
}

function xattrs(): fc.Arbitrary<readonly Xattr[]> {
  const name = fc
    .tuple(fc.constantFrom('user', 'trusted'), fc.stringMatching(/^[a-z.\u00fc]{1,10}$/))
    .map(([space, rest]) => encode(`${space}.${rest}`));
  const attribute = record({ name, value: fc.uint8Array({ maxLength: 30 }) });
  return fc
    .uniqueArray(attribute, { maxLength: 4, selector: (item) => byteKey(item.name) })
    .map((list) => list.toSorted((a, b) => compareBytes(a.name, b.name)));
}

const permissions = (): fc.Arbitrary<number> => fc.integer({ min: 0, max: 7 });

function aclLists(archive: Archive): fc.Arbitrary<readonly AclEntry[]> {
  const plain = record({ id: ids(archive), permissions: permissions() });
  const named = record({
    id: ids(archive),
    permissions: permissions(),
    name: ownerNames(archive),
  });
  const entry: fc.Arbitrary<AclEntry> = has(archive, FEATURE.userNames)
    ? fc.oneof(plain, named)
    : plain;
  return fc
    .uniqueArray(entry, { maxLength: 3, comparator: (a, b) => compareEntries(a, b) === 0 })
    .map((list) => list.toSorted(compareEntries));
}

function compareEntries(a: AclEntry, b: AclEntry): number {
  if (a.id !== b.id) return a.id - b.id;
  const names = compareBytes(a.name ?? encode(''), b.name ?? encode(''));
  return names === 0 ? a.permissions - b.permissions : names;
}

function accessAcls(archive: Archive): fc.Arbitrary<AccessAcl> {
  const lists = { users: aclLists(archive), groups: aclLists(archive) };
  return record({ ...lists, groupObject: permissions() });
}

function defaultAcls(archive: Archive): fc.Arbitrary<DefaultAcl> {
  const lists = { users: aclLists(archive), groups: aclLists(archive) };
  const objects = { userObject: permissions(), groupObject: permissions(), other: permissions() };
  const none = { users: fc.constant([]), groups: fc.constant([]) };
  return fc.oneof(
    record({ ...objects, ...lists, mask: permissions() }),
    record({ ...objects, ...none }),
  );
}

/** Text for targets and labels: any bytes but NUL. */
function texts(maxLength: number): fc.Arbitrary<Uint8Array> {
  const byte = fc.integer({ min: 1, max: 255 });
  return fc.array(byte, { minLength: 1, maxLength }).map((bytes) => Uint8Array.from(bytes));
}

function devices(): fc.Arbitrary<{ readonly major: number; readonly minor: number }> {
  return record({
    major: fc.integer({ min: 0, max: 0xfff }),
    minor: fc.integer({ min: 0, max: 0xf_ffff }),
  });
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
