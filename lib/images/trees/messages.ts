/** Items that fill as many messages of one kind as they need. Used by both sides of a tree session. */
import { FormatError } from '../../../formats/errors.ts';
import { ItemReader, ItemWriter } from '../../../formats/tree-items.ts';
import { FULL_MESSAGE, type TreeKind } from '../../../formats/tree-session.ts';
import type { SessionConnection, SessionMessage } from '../session/connection.ts';

/** What a tree session needs of the connection. */
export type TreeConnection = Pick<SessionConnection, 'label' | 'send' | 'receive'>;

const MORE_FOLLOWS = 0;
const LAST = 1;

/** Sends a list of items of one kind. */
export class MessageWriter {
  readonly items = new ItemWriter(FULL_MESSAGE + 1024).byte(MORE_FOLLOWS);
  readonly #connection: TreeConnection;
  readonly #kind: TreeKind;

  constructor(connection: TreeConnection, kind: TreeKind) {
    this.#connection = connection;
    this.#kind = kind;
  }

  /** To be called between two items: sends what is there, if that is enough. */
  pause(): Promise<void> | undefined {
    return this.items.length < FULL_MESSAGE ? undefined : this.#send(MORE_FOLLOWS);
  }

  /** Sends the rest. */
  finish(): Promise<void> {
    return this.#send(LAST);
  }

  #send(flag: number): Promise<void> {
    const message = this.items.take();
    message[0] = flag;
    this.items.byte(MORE_FOLLOWS);
    return this.#connection.send(this.#kind, message);
  }
}

/** Receives lists of items of one kind. */
export class MessageReader {
  /** How many lists have been asked for. */
  listCount: number;
  readonly #connection: TreeConnection;
  readonly #kind: TreeKind;
  readonly #name: string;
  #reader: ItemReader;
  #endCount = 0;

  constructor(connection: TreeConnection, kind: TreeKind, name: string, listCount = 1) {
    this.#connection = connection;
    this.#kind = kind;
    this.#name = name;
    this.listCount = listCount;
    this.#reader = new ItemReader(name, new Uint8Array(0));
  }

  /** Where the next item is. Items never end behind the message they begin in. */
  async next(): Promise<ItemReader> {
    while (this.#reader.isAtEnd) {
      if (this.#endCount === this.listCount) throw this.#reader.wrong('more');
      await this.#receive();
    }
    return this.#reader;
  }

  /** Says that nothing more is expected. @throws FormatError if there is more */
  async finish(): Promise<void> {
    while (this.#reader.isAtEnd && this.#endCount < this.listCount) await this.#receive();
    if (!this.#reader.isAtEnd) throw this.#reader.wrong('nothing more');
  }

  async #receive(): Promise<void> {
    const { content } = await expect(this.#connection, this.#kind, this.#name);
    this.#reader = new ItemReader(this.#name, content);
    const flag = this.#reader.byte();
    if (flag > LAST) throw this.#reader.wrong('whether more follows', 0);
    this.#endCount += flag;
  }
}

/** The next message, which must be of this kind. @throws FormatError */
export async function expect(
  connection: TreeConnection,
  kind: TreeKind,
  name: string,
): Promise<SessionMessage> {
  const message = await connection.receive();
  if (message?.kind === kind) return message;
  throw new FormatError('tree session', name, 0, 'expected this message');
}
