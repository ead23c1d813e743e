/** A small file system in memory, with files that fail, wait and never end: for tests of the FUSE server. */
import { PipelineError } from '../../lib/errors.ts';
import type { BlobBytes, BlobExtent } from '../../lib/read/blob-reader.ts';
import {
  type FileAttributes,
  type MountedFileSystem,
  ROOT_INODE,
} from '../../lib/serve/fuse/file-system.ts';

const MIB = 2 ** 20;
/** A size that is no multiple of anything. */
export const PATTERN_BYTES = 3 * MIB + 123;
export const SPARSE_BYTES = 8 * MIB;
export const BIG_BYTES = 2 ** 30;
export const MODIFIED_NS = -1_234_567_891n;

/** One byte of the file `pattern`, anywhere. */
export function patternByte(offset: number): number {
  return (offset * 7 + (offset >>> 8) * 13 + (offset >>> 16)) & 0xff;
}

const HOLES: readonly (readonly [start: number, end: number])[] = [
  [MIB, 5 * MIB],
  [6 * MIB, SPARSE_BYTES],
];

/** One byte of the file `sparse`. */
export function sparseByte(offset: number): number {
  return HOLES.some(([start, end]) => offset >= start && offset < end) ? 0 : 0x41;
}

interface Node {
  readonly name: string;
  readonly inode: number;
  readonly parent: number;
  readonly mode: number;
  readonly size: number;
  readonly byteAt?: (offset: number) => number;
  readonly target?: string;
  readonly children?: Node[];
  readonly behaviour?: 'fails-once' | 'never-ends' | 'waits' | 'bug';
  readonly device?: { readonly major: number; readonly minor: number };
}

export interface ToyCounts {
  /** Results of reads that were given out, and that were given back. */
  read: number;
  released: number;
  /** Answers that named an inode, and that were taken back. */
  named: number;
  forgotten: number;
  /** Reads that never end, and those of them whose waiting was ended by a signal. */
  endless: number;
  aborted: number;
}

export interface ToyFileSystem extends MountedFileSystem {
  readonly counts: ToyCounts;
}

interface Toy {
  readonly nodes: Map<number, Node>;
  readonly counts: ToyCounts;
  readonly failed: Set<number>;
}

type Described = Partial<Node> & Pick<Node, 'mode'>;

function add({ nodes }: Toy, parent: number, name: string, described: Described): Node {
  const inode = nodes.size === 0 ? ROOT_INODE : nodes.size + 99;
  const node: Node = { size: 0, ...described, name, inode, parent };
  nodes.set(inode, node);
  if (inode !== ROOT_INODE) nodes.get(parent)?.children?.push(node);
  return node;
}

const REGULAR = 0o100644;
const FOLDER = 0o040755;

function fill(toy: Toy, manyNames: number): void {
  const root = add(toy, ROOT_INODE, '', { mode: FOLDER, children: [] }).inode;
  const hello = new TextEncoder().encode('hello\n');
  const greeting = { mode: REGULAR, size: hello.length, byteAt: (at: number) => hello[at] };
  const pattern = { mode: REGULAR, size: PATTERN_BYTES, byteAt: patternByte };
  add(toy, root, 'hello', greeting);
  add(toy, root, 'pattern', pattern);
  add(toy, root, 'sparse', { mode: REGULAR, size: SPARSE_BYTES, byteAt: sparseByte });
  add(toy, root, 'big', { mode: REGULAR, size: BIG_BYTES });
  add(toy, root, 'fails-once', { ...greeting, behaviour: 'fails-once' });
  add(toy, root, 'never-ends', { ...pattern, behaviour: 'never-ends' });
  add(toy, root, 'waits', { ...pattern, behaviour: 'waits' });
  add(toy, root, 'bug', { ...greeting, behaviour: 'bug' });
  add(toy, root, 'link', { mode: 0o120777, size: 5, target: 'hello' });
  add(toy, root, 'null', { mode: 0o020666, device: { major: 1, minor: 3 } });
  add(toy, root, 'wide', { mode: 0o060600, device: { major: 4095, minor: 0xabcde } });
  add(toy, root, 'fifo', { mode: 0o010600 });
  const folder = add(toy, root, 'folder', { mode: FOLDER, children: [] }).inode;
  const inner = add(toy, folder, 'inner', { mode: FOLDER, children: [] }).inode;
  add(toy, inner, 'deep', greeting);
  const many = add(toy, root, 'many', { mode: FOLDER, children: [] }).inode;
  for (let i = 0; i < manyNames; i++) add(toy, many, `name-${i}`, { mode: REGULAR });
}

function notThere(): PipelineError {
  return new PipelineError('NOT_IN_ARCHIVE', { subject: 'toy', reason: 'no such inode' });
}

function nodeAt({ nodes }: Toy, inode: number): Node {
  const node = nodes.get(inode);
  if (node === undefined) throw notThere();
  return node;
}

function childrenOf(toy: Toy, inode: number): readonly Node[] {
  const { children } = nodeAt(toy, inode);
  if (children === undefined) throw new PipelineError('IO', { reason: 'not a folder' });
  return children;
}

function attributesOf(node: Node): FileAttributes {
  const { inode, mode, size, device, children } = node;
  return {
    ...{ inode, mode, size, linkCount: children === undefined ? 1 : 2 },
    // For others than its owner the kernel asks for ACLs of the root again and again.
    ...{ uid: inode === ROOT_INODE ? 0 : 12, gid: inode === ROOT_INODE ? 0 : 34 },
    modifiedNs: MODIFIED_NS,
    ...(device && { device }),
  };
}

const PIECE = 40_000;
const zeros = new Uint8Array(MIB);

function bytesOf(toy: Toy, node: Node, offset: number, length: number): BlobBytes {
  const start = Math.min(offset, node.size);
  const size = Math.min(length, node.size - start);
  const { byteAt } = node;
  const pieces: Uint8Array[] = [];
  for (let at = start; at < start + size; at += PIECE) {
    const count = Math.min(PIECE, start + size - at);
    if (byteAt !== undefined)
      pieces.push(Uint8Array.from({ length: count }, (_, i) => byteAt(at + i)));
  }
  toy.counts.read++;
  return {
    pieces: byteAt === undefined ? [zeros.subarray(0, size)] : pieces,
    length: size,
    release() {
      toy.counts.released++;
    },
  };
}

/** Resolves after a turn of the event loop, rejects at once when the signal fires. */
function later<Value>(value: () => Value, signal?: AbortSignal, isEndless = false): Promise<Value> {
  return new Promise((resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason));
    if (isEndless) return;
    setImmediate(() => {
      if (!signal?.aborted) resolve(value());
    });
  });
}

function createRead(toy: Toy): MountedFileSystem['read'] {
  return (inode, { offset, length }, options) => {
    const node = nodeAt(toy, inode);
    const bytes = (): BlobBytes => bytesOf(toy, node, offset, length);
    if (node.behaviour === 'bug') throw new TypeError('a mistake');
    if (node.behaviour === 'waits') return later(bytes, options?.signal);
    if (node.behaviour === 'never-ends') {
      toy.counts.endless++;
      options?.signal?.addEventListener('abort', () => {
        toy.counts.aborted++;
      });
      return later(bytes, options?.signal, true);
    }
    if (node.behaviour === 'fails-once' && !toy.failed.has(inode)) {
      toy.failed.add(inode);
      throw new PipelineError('IO', { subject: 'toy', reason: 'failed once' });
    }
    return bytes();
  };
}

function createList(toy: Toy): MountedFileSystem['list'] {
  return (inode, from, take) => {
    const children = childrenOf(toy, inode);
    for (let i = from === 0 ? 0 : from - 3 + 1; i < children.length; i++) {
      const child = children[i];
      // Folders have to be looked up, as where their attributes are not at hand.
      const attributes = child.children === undefined ? attributesOf(child) : undefined;
      const entry = {
        ...{ name: Buffer.from(child.name), inode: child.inode, mode: child.mode, next: i + 3 },
        ...(attributes && { attributes }),
      };
      if (!take(entry)) return;
      if (attributes !== undefined) toy.counts.named++;
    }
  };
}

function sparseExtent(offset: number): BlobExtent {
  for (const [start, end] of HOLES) {
    if (offset < start) return { end: start, isZero: false };
    if (offset < end) return { end, isZero: true };
  }
  return { end: SPARSE_BYTES, isZero: false };
}

const ATTRIBUTES: ReadonlyMap<string, string> = new Map([
  ['user.colour', 'blue'],
  ['user.empty', ''],
]);

/** @param manyNames in the folder `many` */
export function createToyFileSystem(manyNames = 2000): ToyFileSystem {
  const counts: ToyCounts = {
    read: 0,
    released: 0,
    named: 0,
    forgotten: 0,
    endless: 0,
    aborted: 0,
  };
  const toy: Toy = { nodes: new Map(), counts, failed: new Set() };
  fill(toy, manyNames);
  const names = new Map(
    [...toy.nodes.values()].map((node) => [`${node.parent}/${node.name}`, node]),
  );
  const isGreeting = (inode: number): boolean => nodeAt(toy, inode).name === 'hello';
  return {
    label: 'toy',
    size: BIG_BYTES + 1,
    hasAcls: true,
    counts,
    lookup(inode, name) {
      childrenOf(toy, inode);
      const found = names.get(`${inode}/${Buffer.from(name).toString()}`);
      if (found === undefined) return undefined;
      counts.named++;
      return attributesOf(found);
    },
    attributes: (inode) => attributesOf(nodeAt(toy, inode)),
    parentOf: (inode) => nodeAt(toy, inode).parent,
    list: createList(toy),
    readLink(inode) {
      const { target } = nodeAt(toy, inode);
      if (target === undefined) throw new PipelineError('IO', { reason: 'not a link' });
      return Buffer.from(target);
    },
    read: createRead(toy),
    extentAt(inode, offset) {
      const node = nodeAt(toy, inode);
      return node.name === 'sparse' ? sparseExtent(offset) : { end: node.size, isZero: false };
    },
    extendedAttributeNames: (inode) =>
      isGreeting(inode) ? [...ATTRIBUTES.keys()].map((name) => Buffer.from(name)) : [],
    extendedAttribute(inode, name) {
      const value = ATTRIBUTES.get(Buffer.from(name).toString());
      return isGreeting(inode) && value !== undefined ? Buffer.from(value) : undefined;
    },
    inodeFlags: (inode) =>
      isGreeting(inode)
        ? { chattr: 0x10 | 0x40, fat: 0x22, projectId: 77 }
        : { chattr: 0, fat: 0, projectId: 0 },
    forget(_, count) {
      counts.forgotten += count;
    },
  };
}
