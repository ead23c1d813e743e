/**
 * Events in, archive bytes out (spec/formats/catar.md): the same bytes as casync for the same
 * events. It writes what it is given; reducing nodes to the feature flags is the walker's work.
 */
import { compareBytes } from './bytes.ts';
import type { CatarEvent, EnterEvent, NodeType } from './catar-events.ts';
import { archiveRules } from './catar-fields.ts';
import { NodeEncoder } from './catar-node-encoder.ts';
import { DEFAULT_DECODE_LIMITS } from './decode-limits.ts';
import { CasError, FormatError } from './errors.ts';
import { checkFlags } from './feature-flags.ts';
import { encodeGoodbye, hashName } from './goodbye.ts';
import { GoodbyeColumns } from './goodbye-columns.ts';

/** What a reader takes by default is what we write at most. */
const LIMITS = DEFAULT_DECODE_LIMITS;

/** A node that is not left yet. */
interface OpenNode {
  readonly type: NodeType;
  readonly entryOffset: number;
  /** Bytes of content still to come. */
  remaining: number;
  readonly children: GoodbyeColumns;
  lastChild: Uint8Array | undefined;
}

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
   * The bytes of one event. Those of a data event are passed through, all others are the caller's.
   * @throws FormatError for a node that no archive can hold, for children out of order, and for
   *   nodes too deep
   * @throws CasError `SOURCE_CHANGED` for more or less content than the node's size promised
   */
  push(event: CatarEvent): readonly Uint8Array[] {
    const parts = this.#encode(event);
    for (const part of parts) this.#offset += part.length;
    return parts;
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
    return [this.#enterNode(event, 0)];
  }

  #enterChild(event: EnterEvent): readonly Uint8Array[] {
    const { name } = event;
    const parent = this.#open.at(-1);
    if (parent?.type !== 'directory') throw new TypeError('children belong into directories');
    if (this.#open.length >= LIMITS.maxDepth) {
      const limit = `at most ${LIMITS.maxDepth} nodes from the root to the deepest`;
      throw formatError('ENTRY', this.#offset, limit);
    }
    const filename = this.#encoder.encodeFileName(name, this.#offset);
    if (parent.lastChild !== undefined && compareBytes(parent.lastChild, name) >= 0) {
      throw formatError('FILENAME', this.#offset, 'children in strictly ascending order');
    }
    if (parent.children.count >= LIMITS.maxDirectoryEntries) {
      const limit = `at most ${LIMITS.maxDirectoryEntries} entries in a directory`;
      throw formatError('FILENAME', this.#offset, limit);
    }
    const records = this.#enterNode(event, this.#offset + filename.length);
    parent.lastChild = name;
    parent.children.add(this.#offset, hashName(name));
    return [filename, records];
  }

  #enterNode({ node }: EnterEvent, entryOffset: number): Uint8Array {
    const records = this.#encoder.encodeNode(node, entryOffset);
    this.#open.push({
      type: node.type,
      entryOffset,
      remaining: node.size,
      children: new GoodbyeColumns(),
      lastChild: undefined,
    });
    return records;
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
    const parts: Uint8Array[] = [];
    let end = this.#offset;
    if (node.type === 'directory') {
      const goodbye = encodeGoodbye(node.children, this.#offset, node.entryOffset);
      parts.push(goodbye);
      end += goodbye.length;
    }
    this.#open.at(-1)?.children.endLast(end);
    return parts;
  }
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
