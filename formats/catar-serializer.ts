/**
 * Events in, archive bytes out (spec/formats/catar.md): the same bytes as casync for the same
 * events. It writes what it is given; reducing nodes to the feature flags is the walker's work.
 */
import { compareBytes } from './bytes.ts';
import type { CatarEvent, CatarNode, EnterEvent, NodeType } from './catar-events.ts';
import { archiveRules } from './catar-fields.ts';
import { NodeEncoder } from './catar-node-encoder.ts';
import { DEFAULT_DECODE_LIMITS } from './decode-limits.ts';
import { CasError, FormatError } from './errors.ts';
import { checkFlags } from './feature-flags.ts';
import { encodeGoodbye, hashName } from './goodbye.ts';
import { GoodbyeColumns } from './goodbye-columns.ts';
import { RECORD_HEADER_SIZE } from './record-types.ts';

/** What a reader takes by default is what we write at most. */
const LIMITS = DEFAULT_DECODE_LIMITS;
const NO_BYTES: readonly Uint8Array[] = [];

/** A node that is not left yet. */
interface OpenNode {
  readonly type: NodeType;
  readonly entryOffset: number;
  /** Bytes of content still to come. */
  remaining: number;
  /** Of a directory; files have none, and cost none. */
  readonly children: GoodbyeColumns | undefined;
  lastChild: Uint8Array | undefined;
}

/** Consecutive children of one directory, encoded elsewhere (`encodeChild`, then the content). */
export interface PackedChildren {
  /** Names of the first and the last of them; those between ascend strictly. */
  readonly firstName: Uint8Array;
  readonly lastName: Uint8Array;
  /** For each child: bytes from FILENAME to its end, lower and upper half of `hashName`. */
  readonly table: Uint32Array;
}

/** Numbers per child in the table of {@link PackedChildren}. */
export const PACKED_COLUMNS = 3;

export class CatarSerializer {
  readonly #encoder: NodeEncoder;
  readonly #open: OpenNode[] = [];
  #offset = 0;

  /**
   * @param featureFlags of the archive; all nodes must carry the same
   * @throws FormatError if the flags are unknown or not normalised
   */
  constructor(featureFlags: bigint) {
    checkFlags(featureFlags, (reason) => new FormatError('catar', 'ENTRY', 0, reason));
    this.#encoder = new NodeEncoder(archiveRules(featureFlags), LIMITS);
  }

  /** Bytes given out so far. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * The bytes of one event: those of a data event are passed through, all others are valid until the
   * next call.
   * @throws FormatError for a node that no archive can hold, for children out of order, and for
   *   nodes too deep
   * @throws CasError `SOURCE_CHANGED` for more or less content than the node's size promised
   */
  push(event: CatarEvent): readonly Uint8Array[] {
    const parts = this.#encode(event);
    for (const part of parts) this.#offset += part.length;
    return parts;
  }

  /**
   * Takes note of children of the open directory whose bytes the caller gives out himself.
   * @throws FormatError for children out of order, too many or too deep
   */
  pushPacked({ firstName, lastName, table }: PackedChildren): void {
    const parent = this.#parentOf(firstName);
    const count = table.length / PACKED_COLUMNS;
    this.#checkRoom(parent, count);
    for (let i = 0; i < table.length; i += PACKED_COLUMNS) {
      parent.children.addComplete(this.#offset, table[i], table[i + 1], table[i + 2]);
      this.#offset += table[i];
    }
    parent.lastChild = lastName;
  }

  /** Takes note of the content of the open file, which the caller gives out himself. */
  passContent(): void {
    const file = this.#open.at(-1);
    if (file?.type !== 'file') throw new TypeError('content belongs into files');
    this.#offset += file.remaining;
    file.remaining = 0;
  }

  /** Says that no event follows. @throws TypeError if the root was not left */
  end(): void {
    if (this.#open.length > 0 || this.#offset === 0) throw new TypeError('nodes are still open');
  }

  #encode(event: CatarEvent): readonly Uint8Array[] {
    switch (event.kind) {
      case 'enter':
        return this.#open.length === 0 ? this.#enterRoot(event) : this.#enterChild(event);
      case 'data':
        return this.#data(event.bytes);
      case 'leave':
        return this.#leave();
    }
  }

  #enterRoot(event: EnterEvent): readonly Uint8Array[] {
    if (this.#offset > 0) throw new TypeError('the archive is complete');
    if (event.node.type !== 'directory' || event.name.length > 0) {
      throw formatError('ENTRY', 0, 'a directory without a name as the root');
    }
    const records = this.#encoder.encodeRoot(event.node, 0);
    this.#open.push(openNode(event.node, 0));
    return [records];
  }

  #enterChild({ name, node }: EnterEvent): readonly Uint8Array[] {
    const parent = this.#parentOf(name);
    const records = this.#encoder.encodeChild(name, node, this.#offset);
    this.#checkRoom(parent, 1);
    parent.lastChild = name;
    parent.children.add(this.#offset, hashName(name));
    this.#open.push(openNode(node, this.#offset + fileNameSize(name)));
    return [records];
  }

  /** The open directory, if a child of this name may come now. */
  #parentOf(name: Uint8Array): OpenDirectory {
    const parent = this.#open.at(-1);
    if (parent === undefined || !isDirectory(parent)) {
      throw new TypeError('children belong into directories');
    }
    if (this.#open.length >= LIMITS.maxDepth) {
      const limit = `at most ${LIMITS.maxDepth} nodes from the root to the deepest`;
      throw formatError('ENTRY', this.#offset, limit);
    }
    if (parent.lastChild !== undefined && compareBytes(parent.lastChild, name) >= 0) {
      throw formatError('FILENAME', this.#offset, 'children in strictly ascending order');
    }
    return parent;
  }

  #checkRoom({ children }: OpenDirectory, count: number): void {
    if (children.count + count <= LIMITS.maxDirectoryEntries) return;
    const limit = `at most ${LIMITS.maxDirectoryEntries} entries in a directory`;
    throw formatError('FILENAME', this.#offset, limit);
  }

  #data(bytes: Uint8Array): readonly Uint8Array[] {
    const file = this.#open.at(-1);
    if (file?.type !== 'file') throw new TypeError('content belongs into files');
    if (bytes.length > file.remaining) throw sourceChanged('it has become longer');
    file.remaining -= bytes.length;
    return [bytes];
  }

  #leave(): readonly Uint8Array[] {
    const node = this.#open.at(-1);
    if (node === undefined) throw new TypeError('no node is open');
    if (node.remaining > 0) throw sourceChanged(`it has become ${node.remaining} bytes shorter`);
    this.#open.pop();
    const { children } = node;
    const goodbye = children && encodeGoodbye(children, this.#offset, node.entryOffset);
    this.#open.at(-1)?.children?.endLast(this.#offset + (goodbye?.length ?? 0));
    return goodbye === undefined ? NO_BYTES : [goodbye];
  }
}

type OpenDirectory = OpenNode & { readonly children: GoodbyeColumns };

function isDirectory(node: OpenNode): node is OpenDirectory {
  return node.children !== undefined;
}

function openNode({ type, size }: CatarNode, entryOffset: number): OpenNode {
  const children = type === 'directory' ? new GoodbyeColumns() : undefined;
  return { type, entryOffset, remaining: size, children, lastChild: undefined };
}

/** Bytes of the FILENAME record, the NUL behind the name included. */
function fileNameSize(name: Uint8Array): number {
  return RECORD_HEADER_SIZE + name.length + 1;
}

function formatError(record: string, offset: number, expectation: string): FormatError {
  return new FormatError('catar', record, offset, `expected ${expectation}`);
}

function sourceChanged(what: string): CasError {
  return new CasError('SOURCE_CHANGED', {
    step: 'archive file',
    reason: `${what} while it was read`,
  });
}
