/**
 * Builds archives of any shape, also broken ones, record by record: for tests of everything that
 * reads archives. Knows the layout from spec/formats/catar.md and checks nothing.
 */
import { concatBytes, writeU64 } from '../../formats/bytes.ts';
import { GOODBYE_TAIL_MARKER, RECORD_TYPES } from '../../formats/record-types.ts';

/** What the reference uses for `make x.catar FOLDER` without options. */
export const DEFAULT_FLAGS = 0xb000_0001_ffef_fe26n;

export const DIRECTORY_MODE = 0o040755;
export const FILE_MODE = 0o100644;
export const SYMLINK_MODE = 0o120777;

/** Texts become UTF-8, bytes stay. */
export function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? new TextEncoder().encode(text) : text;
}

/** Integers of 64 bits one behind the other. */
export function u64s(...values: readonly (bigint | number)[]): Uint8Array {
  const bytes = new Uint8Array(8 * values.length);
  values.forEach((value, i) => {
    writeU64(bytes, 8 * i, value);
  });
  return bytes;
}

/** A text with its NUL. */
export function cString(text: string | Uint8Array): Uint8Array {
  return concatBytes([bytesOf(text), Uint8Array.of(0)]);
}

/** One record. @param size what its size field claims; the truth unless given. */
export function record(
  type: keyof typeof RECORD_TYPES | bigint,
  body: Uint8Array = new Uint8Array(),
  size: bigint | number = 16 + body.length,
): Uint8Array {
  const number = typeof type === 'bigint' ? type : RECORD_TYPES[type];
  return concatBytes([u64s(size, number), body]);
}

export interface ForgedEntry {
  readonly featureFlags?: bigint;
  readonly mode?: bigint | number;
  readonly entryFlags?: bigint | number;
  readonly uid?: bigint | number;
  readonly gid?: bigint | number;
  readonly mtime?: bigint | number;
}

export function entry(fields: ForgedEntry): Uint8Array {
  const { featureFlags = DEFAULT_FLAGS, mode = FILE_MODE, entryFlags = 0 } = fields;
  const { uid = 0, gid = 0, mtime = 1_000_000_000 } = fields;
  return record('ENTRY', u64s(featureFlags, mode, entryFlags, uid, gid, mtime));
}

/** What is known about one child when its folder ends. */
export interface ForgedItem {
  readonly name: Uint8Array;
  /** Archive offset of the FILENAME record. */
  readonly offset: number;
  /** Bytes from there to the end of the child. */
  readonly size: number;
}

/** Where a folder ends, for tests that forge its GOODBYE. */
export interface ForgedTable {
  readonly items: readonly ForgedItem[];
  readonly goodbyeOffset: number;
  readonly entryOffset: number;
}

/** One node: its ENTRY, the given records as they are, then its content. */
export interface ForgedNode {
  readonly entry: ForgedEntry;
  readonly records?: readonly Uint8Array[];
  /** Children in the order given. Present: a GOODBYE follows them. */
  readonly children?: readonly (readonly [name: string | Uint8Array, node: ForgedNode])[];
  /** Makes the bytes in the place of the GOODBYE. */
  readonly goodbye?: (table: ForgedTable) => Uint8Array;
}

export function directory(
  children: ForgedNode['children'] = [],
  more: Partial<ForgedNode> = {},
): ForgedNode {
  return { children, ...more, entry: { mode: DIRECTORY_MODE, ...more.entry } };
}

export function file(
  content: string | Uint8Array = '',
  more: Partial<ForgedNode> = {},
): ForgedNode {
  return withContent(FILE_MODE, record('PAYLOAD', bytesOf(content)), more);
}

export function symlink(target: string | Uint8Array, more: Partial<ForgedNode> = {}): ForgedNode {
  return withContent(SYMLINK_MODE, record('SYMLINK', cString(target)), more);
}

/** @param mode with its type bits, 0o060000 for blocks or 0o020000 for characters. */
export function device(
  mode: number,
  major: bigint | number,
  minor: bigint | number,
  more: Partial<ForgedNode> = {},
): ForgedNode {
  return withContent(mode, record('DEVICE', u64s(major, minor)), more);
}

/** A fifo (0o010000), a socket (0o140000), or anything else without content. */
export function bare(mode: bigint | number, more: Partial<ForgedNode> = {}): ForgedNode {
  return { ...more, entry: { mode, ...more.entry } };
}

function withContent(mode: number, content: Uint8Array, more: Partial<ForgedNode>): ForgedNode {
  const records = [...(more.records ?? []), content];
  return { ...more, records, entry: { mode, ...more.entry } };
}

/**
 * A GOODBYE without items: right for sequential readers, which do not look at them, and wrong for
 * readers that look names up.
 */
export function goodbyeWithoutItems(table: ForgedTable): Uint8Array {
  const tail = u64s(table.goodbyeOffset - table.entryOffset, 40, GOODBYE_TAIL_MARKER);
  return record('GOODBYE', tail);
}

/**
 * The archive of `root`. @param goodbye makes the tables of all folders that do not make their own.
 */
export function forgeArchive(
  root: ForgedNode,
  goodbye: (table: ForgedTable) => Uint8Array = goodbyeWithoutItems,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let offset = 0;
  const put = (bytes: Uint8Array): void => {
    parts.push(bytes);
    offset += bytes.length;
  };
  const putNode = (node: ForgedNode): void => {
    const entryOffset = offset;
    put(entry(node.entry));
    for (const bytes of node.records ?? []) put(bytes);
    if (node.children === undefined) return;
    const items: ForgedItem[] = [];
    for (const [name, child] of node.children) {
      const start = offset;
      put(record('FILENAME', cString(name)));
      putNode(child);
      items.push({ name: bytesOf(name), offset: start, size: offset - start });
    }
    put((node.goodbye ?? goodbye)({ items, goodbyeOffset: offset, entryOffset }));
  };
  putNode(root);
  return concatBytes(parts);
}
