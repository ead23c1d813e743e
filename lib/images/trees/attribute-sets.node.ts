/**
 * Everything about entries that many have in common: type, owner, permissions, extended attributes and
 * the rest, without names, times and sizes. Each set has a number, and is told of once
 * (spec/formats/tree-session.md, "Attribute sets"). Used by both sides of a tree session.
 */
import { createHash } from 'node:crypto';
import { concatBytes } from '../../../formats/bytes.ts';
import type { CatarNode } from '../../../formats/catar-events.ts';
import { archiveRules } from '../../../formats/catar-fields.ts';
import { NodeEncoder } from '../../../formats/catar-node-encoder.ts';
import { CatarParser } from '../../../formats/catar-parser.ts';
import { DEFAULT_DECODE_LIMITS } from '../../../formats/decode-limits.ts';
import { FormatError } from '../../../formats/errors.ts';
import { encodeGoodbye } from '../../../formats/goodbye.ts';
import { GoodbyeColumns } from '../../../formats/goodbye-columns.ts';
import type { EntryRecord } from '../../../formats/tree-session.ts';

const PLACEHOLDER = Uint8Array.of(0x2d);
const START = { offset: 0, name: PLACEHOLDER, depth: 1 } as const;

interface AttributeSet {
  readonly bytes: Uint8Array;
  readonly node: CatarNode;
  readonly digest: Uint8Array;
}

export class AttributeSets {
  readonly featureFlags: bigint;
  readonly #encoder: NodeEncoder;
  readonly #numbers = new Map<string, number>();
  readonly #sets: AttributeSet[] = [];

  constructor(featureFlags: bigint) {
    this.featureFlags = featureFlags;
    this.#encoder = new NodeEncoder(archiveRules(featureFlags), DEFAULT_DECODE_LIMITS);
  }

  /** Number of the set of a node, whose feature flags may have further bits about what is left out. */
  numberOf(node: CatarNode): number {
    const common = commonPart(node, this.featureFlags);
    const records = this.#encoder.encodeRoot(common, 0);
    const known = this.#numbers.get(keyOf(records));
    return known ?? this.#add(records, common);
  }

  /** The node of a set: without time, size and target. */
  nodeOf(number: number): CatarNode {
    return this.#needed(number).node;
  }

  /** 32 bytes. */
  digestOf(number: number): Uint8Array {
    return this.#needed(number).digest;
  }

  bytesOf(number: number): Uint8Array {
    return this.#needed(number).bytes;
  }

  /** Takes a set of the other side. @throws FormatError */
  read(bytes: Uint8Array): number {
    const known = this.#numbers.get(keyOf(bytes));
    if (known !== undefined) return known;
    const node = this.#parse(bytes);
    // What nobody would write has no second form here.
    const records = this.#encoder.encodeRoot(node, 0);
    if (keyOf(records) !== keyOf(bytes)) throw wrong('an attribute set in its only form');
    return this.#add(records, node);
  }

  /** An entry as a node. @throws FormatError if it does not fit to its attributes */
  entryNode({ attributes, mtime, size, target }: EntryRecord): CatarNode {
    const { node } = this.#needed(attributes);
    if ((node.type === 'symlink') !== (target !== undefined)) throw wrong('a target of a link');
    return { ...node, mtime, size, ...(target === undefined ? {} : { linkTarget: target }) };
  }

  #add(records: Uint8Array, node: CatarNode): number {
    const bytes = records.slice();
    const digest = createHash('sha256').update(bytes).digest();
    const number = this.#sets.push({ bytes, node, digest }) - 1;
    this.#numbers.set(keyOf(bytes), number);
    return number;
  }

  #parse(bytes: Uint8Array): CatarNode {
    const { featureFlags } = this;
    const parser = new CatarParser({
      start: START,
      skipPayloads: true,
      expectedFlags: featureFlags,
    });
    let node: CatarNode | undefined;
    const isTaken = () => parser.done && node !== undefined;
    for (const event of parser.push(bytes)) if (event.kind === 'enter') node ??= event.node;
    if (!isTaken()) {
      // Nothing but the end of a folder is missing.
      const end = encodeGoodbye(new GoodbyeColumns(), bytes.length, 0);
      for (const event of parser.push(end)) if (event.kind === 'enter') node ??= event.node;
    }
    if (node === undefined || !isTaken()) throw wrong('an attribute set');
    if (node.mtime !== 0n || node.size !== 0) throw wrong('an attribute set without time and size');
    return node;
  }

  #needed(number: number): AttributeSet {
    const set = this.#sets[number];
    if (set === undefined) throw wrong('the number of an attribute set');
    return set;
  }
}

function commonPart(node: CatarNode, featureFlags: bigint): CatarNode {
  const { localOwner: _, ...recorded } = node;
  const common = { ...recorded, featureFlags, mtime: 0n, size: 0 };
  return node.linkTarget === undefined ? common : { ...common, linkTarget: PLACEHOLDER };
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function wrong(expectation: string): FormatError {
  return new FormatError('tree session', 'RECORDS', 0, `expected ${expectation}`);
}

/** 32 bytes: of everything that is recorded of an entry, content aside. */
export function digestEntry(sets: AttributeSets, entry: EntryRecord): Buffer {
  const { name, attributes, mtime, size, target } = entry;
  const numbers = new BigUint64Array([BigInt.asUintN(64, mtime), BigInt(size)]);
  const head = concatBytes([
    sets.digestOf(attributes),
    new Uint8Array(numbers.buffer),
    Uint8Array.of(name.length & 0xff, name.length >>> 8),
    name,
    target ?? new Uint8Array(0),
  ]);
  return createHash('sha256').update(head).digest();
}
