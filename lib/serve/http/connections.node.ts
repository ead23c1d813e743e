/**
 * The connections of the server and what is under way on each: which may be closed at once, which are
 * too many, and where a raw answer may still be written.
 */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

interface Connection {
  /** Answers that are not finished. */
  readonly responses: Set<ServerResponse>;
  readonly isTooMuch: boolean;
}

export class Connections {
  readonly #limit: number;
  readonly #open = new Map<Duplex, Connection>();
  #isClosing = false;

  /** @param limit how many are served */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#open.size;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** @returns whether it is one too many: its request is to be refused */
  add(socket: Duplex): boolean {
    const isTooMuch = this.#open.size >= this.#limit;
    this.#open.set(socket, { responses: new Set(), isTooMuch });
    socket.once('close', () => this.#open.delete(socket));
    return isTooMuch;
  }

  isTooMuch(socket: Duplex): boolean {
    return this.#open.get(socket)?.isTooMuch === true;
  }

  begin(socket: Duplex, response: ServerResponse): void {
    this.#open.get(socket)?.responses.add(response);
  }

  end(socket: Duplex, response: ServerResponse): void {
    const connection = this.#open.get(socket);
    connection?.responses.delete(response);
    if (this.#isClosing && connection?.responses.size === 0) socket.end();
  }

  /** Whether nothing has been written that another answer would spoil. */
  canAnswer(socket: Duplex): boolean {
    if (!socket.writable) return false;
    const responses = [...(this.#open.get(socket)?.responses ?? [])];
    return responses.length <= 1 && responses.every((response) => !response.headersSent);
  }

  /** Closes those on which nothing is under way, now or when they are done. */
  closeIdle(): void {
    this.#isClosing = true;
    for (const [socket, { responses }] of this.#open) if (responses.size === 0) socket.destroy();
  }

  destroyAll(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }
}
