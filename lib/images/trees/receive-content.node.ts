/**
 * Contents of files as they come from the other side of a tree session, in the order in which they are
 * asked for: requests run ahead of answers, so that no answer is waited for. Used by restore-tree.
 */
import { equalBytes } from '../../../formats/bytes.ts';
import { FormatError } from '../../../formats/errors.ts';
import {
  type ContentItem,
  type OldPieces,
  readContent,
  writeWanted,
} from '../../../formats/tree-content.ts';
import { ItemWriter } from '../../../formats/tree-items.ts';
import { FULL_MESSAGE, MOST_DATA, TREE_KIND } from '../../../formats/tree-session.ts';
import { closeEntry } from '../../os/open.node.ts';
import { type Breather, createBreather } from '../../work/breathe.ts';
import type { ChangedEntry } from './changes.node.ts';
import { ContentDigest, readPiece } from './file-digest.node.ts';
import { type OwnFile, openOwn } from './find-content.node.ts';
import { MessageReader, type TreeConnection } from './messages.ts';
import { cutOldFile, LEAST_CUT, sizesOfPieces } from './pieces.node.ts';

/** Takes the content of one file. */
export interface ContentTaker {
  readonly write: (bytes: Uint8Array) => Promise<void> | undefined;
  readonly skip: (length: number) => Promise<void> | undefined;
}

export interface ReceiverOptions {
  readonly root: number;
  readonly salt: Uint8Array;
  /** The older file in the place of a wanted one. */
  readonly oldOf: (change: ChangedEntry) => OwnFile | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class ContentReceiver {
  readonly #connection: TreeConnection;
  readonly #options: ReceiverOptions;
  readonly #reader: MessageReader;
  readonly #breathe: Breather = createBreather();
  readonly #buffer = Buffer.allocUnsafeSlow(MOST_DATA);
  /** Requests that were told only what differs. */
  readonly #inPieces = new Set<number>();
  #requests: Promise<void> | undefined;
  #failure: unknown;
  #byteCount = 0;

  constructor(connection: TreeConnection, options: ReceiverOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#reader = new MessageReader(
      connection,
      TREE_KIND.content,
      'CONTENT',
      Number.POSITIVE_INFINITY,
    );
  }

  /** Bytes of content that have come over the connection, uncompressed. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** Asks for all of them, in this order. */
  request(wanted: readonly ChangedEntry[]): void {
    if (wanted.length === 0) {
      this.#reader.listCount = 0;
      return;
    }
    this.#requests = this.#ask(wanted).catch((error: unknown) => {
      this.#failure ??= error;
    });
  }

  /**
   * The content of the next file.
   * @returns undefined if all of it has come and is right; else why not
   * @throws FormatError, and what the connection and the taker throw
   */
  async receive(change: ChangedEntry, taker: ContentTaker): Promise<string | undefined> {
    let old: number | undefined;
    try {
      return await this.#receive(change.entry.size, taker, () => {
        old ??= this.#openOld(change);
        return old;
      });
    } finally {
      if (old !== undefined) closeEntry(old);
    }
  }

  /** Everything that was asked for has come. */
  async finish(): Promise<void> {
    await this.#requests;
    this.#check();
    await this.#reader.finish();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #ask(wanted: readonly ChangedEntry[]): Promise<void> {
    const writer = new ItemWriter(FULL_MESSAGE + 1024);
    let questionCount = 0;
    const send = (): Promise<void> => {
      questionCount += 1;
      return this.#connection.send(TREE_KIND.wantContent, writer.take());
    };
    for (const change of wanted) {
      const pieces = await this.#oldPieces(change);
      if (pieces !== undefined) this.#inPieces.add(change.number);
      writeWanted(writer, { number: change.number, ...(pieces ? { pieces } : {}) });
      if (writer.length >= FULL_MESSAGE) await send();
    }
    this.#reader.listCount = questionCount + (writer.length > 0 ? 1 : 0);
    if (writer.length > 0) await send();
  }

  async #oldPieces(change: ChangedEntry): Promise<OldPieces | undefined> {
    const { root, salt, oldOf, signal } = this.#options;
    const file = oldOf(change);
    const { size } = change.entry;
    if (file === undefined || Math.min(size, file.entry.size) < LEAST_CUT) return undefined;
    const fd = openOwn(root, file);
    if (fd === undefined) return undefined;
    try {
      const sizes = sizesOfPieces(file.entry.size, size);
      return await cutOldFile(fd, file.entry.size, { salt, sizes, breathe: this.#breathe, signal });
    } finally {
      closeEntry(fd);
    }
  }

  #openOld(change: ChangedEntry): number | undefined {
    if (!this.#inPieces.has(change.number)) return undefined;
    const file = this.#options.oldOf(change);
    return file && openOwn(this.#options.root, file);
  }

  async #receive(
    size: number,
    taker: ContentTaker,
    openOld: () => number | undefined,
  ): Promise<string | undefined> {
    const digest = new ContentDigest();
    let isOldLost = false;
    for (let position = 0; ; ) {
      const reader = await this.#reader.next();
      this.#check();
      const item = readContent(reader, position);
      if (item.kind === 'unavailable') return 'it has changed or is gone on the other side';
      if (item.kind === 'end') {
        if (isOldLost) return 'the older file here has changed meanwhile';
        if (position !== size) throw wrong('as much content as announced');
        return equalBytes(digest.finish(), item.digest) ? undefined : NOT_EQUAL;
      }
      const length = item.kind === 'data' ? item.bytes.length : item.length;
      if (length > size - position) throw wrong('no more content than announced');
      position += length;
      if (isOldLost) continue;
      if (item.kind === 'copy') isOldLost = !(await this.#copy(item, openOld(), digest, taker));
      else await this.#take(item, digest, taker);
    }
  }

  async #take(
    item: Exclude<ContentItem, { kind: 'end' | 'unavailable' | 'copy' }>,
    digest: ContentDigest,
    taker: ContentTaker,
  ): Promise<void> {
    if (item.kind === 'data') {
      this.#byteCount += item.bytes.length;
      digest.update(item.bytes);
      await taker.write(item.bytes);
    } else {
      digest.zeros(item.length);
      await taker.skip(item.length);
    }
    await this.#breathe();
  }

  /** @returns false if the older file does not have it any more */
  async #copy(
    { offset, length }: { readonly offset: number; readonly length: number },
    old: number | undefined,
    digest: ContentDigest,
    taker: ContentTaker,
  ): Promise<boolean> {
    if (old === undefined || offset < 0) return false;
    for (let done = 0; done < length; ) {
      const piece = this.#buffer.subarray(0, Math.min(this.#buffer.length, length - done));
      if (readPiece(old, piece, offset + done) < piece.length) return false;
      digest.update(piece);
      await taker.write(piece);
      done += piece.length;
      await this.#breathe();
    }
    return true;
  }
}

const NOT_EQUAL = 'what has come is not what the other side has; run again';

function wrong(expectation: string): FormatError {
  return new FormatError('tree session', 'CONTENT', 0, `expected ${expectation}`);
}
