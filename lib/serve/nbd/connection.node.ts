/**
 * One connection of an NBD client: negotiation, requests, and an end that loses no answers (spec/nbd.md,
 * "The server"). Also serves the kernel, which negotiates nothing.
 */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { isCasError } from '../../../formats/errors.ts';
import { type NbdAgreement, NbdNegotiation } from '../../../formats/nbd-negotiation.ts';
import type { NbdExport } from '../../../formats/nbd-options.ts';
import type { BufferPool } from '../buffer-pool.ts';
import type { BlockExport } from './block-export.ts';
import type { SharedMemory } from './client-memory.ts';
import type { NbdServerLimits } from './limits.ts';
import { Transmission } from './transmission.ts';

export interface NbdConnectionOptions {
  readonly blockExport: BlockExport;
  /** What is negotiated about, or what was agreed upon already. */
  readonly beginning: NbdExport | NbdAgreement;
  readonly memory: SharedMemory;
  readonly pool: BufferPool;
  readonly limits: NbdServerLimits;
  /** Told of failures that are no fault of the client. */
  readonly onFailure: (error: unknown) => void;
}

/** How long a client may take to notice that the connection ends. */
const LINGER_MS = 1000;

export class NbdConnection {
  /** Resolves when the connection is closed and nothing of it is under way. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #options: NbdConnectionOptions;
  #negotiation: NbdNegotiation | undefined;
  #transmission: Transmission | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isEnding = false;

  /** @param socket allows half-open connections; belongs to the connection from now on */
  constructor(socket: Socket, options: NbdConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.ended = new Promise((resolve) => {
      socket.once('close', () => resolve(this.#closed()));
    });
    // Clients come and go as they like.
    socket.on('error', () => {});
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('end', () => this.#receiveEnd());
    const { beginning, limits } = options;
    if ('isStructured' in beginning) {
      this.#transmission = this.#transmit(beginning);
      return;
    }
    this.#negotiation = new NbdNegotiation(beginning);
    this.#timer = setTimeout(() => socket.destroy(), limits.negotiationTimeoutMs);
    socket.write(this.#negotiation.greeting);
  }

  /** Refuses what is asked from now on; ends when all that was asked is answered. */
  close(): void {
    if (this.#transmission === undefined) this.#socket.destroy();
    else {
      this.#transmission.refuse();
      void this.#endAfterAnswers();
    }
  }

  /** Gives up waiting for what is read; clients are told so. */
  hurry(): void {
    this.#transmission?.hurry();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#isEnding) return;
    const waiting =
      this.#transmission === undefined ? this.#negotiate(bytes) : this.#request(bytes);
    if (waiting === undefined) return;
    this.#socket.pause();
    waiting.then(
      () => this.#socket.resume(),
      (error: unknown) => {
        if (!isCasError(error)) this.#options.onFailure(error);
        this.#socket.destroy();
      },
    );
  }

  /** @returns a promise if the client has to read first */
  #negotiate(bytes: Uint8Array): Promise<void> | undefined {
    const negotiation = this.#negotiation;
    if (negotiation === undefined) return undefined;
    let isFull = false;
    for (const answer of negotiation.feed(bytes)) isFull = !this.#socket.write(answer);
    const { state } = negotiation;
    if (state === 'broken') this.#socket.destroy();
    if (state === 'ended') this.#end();
    if (state === 'agreed') {
      clearTimeout(this.#timer);
      this.#negotiation = undefined;
      this.#transmission = this.#transmit(negotiation.agreement);
      return this.#request(negotiation.rest());
    }
    if (!isFull || this.#socket.destroyed) return undefined;
    return new Promise((resolve) => this.#socket.once('drain', resolve).once('close', resolve));
  }

  #request(bytes: Uint8Array): Promise<void> | undefined {
    const transmission = this.#transmission;
    const waiting = transmission?.feed(bytes);
    if (waiting !== undefined) return waiting.then(() => this.#endIfOver());
    this.#endIfOver();
    return undefined;
  }

  #endIfOver(): void {
    if (this.#transmission?.isOver === true) void this.#endAfterAnswers();
  }

  /** The client has nothing more to say. */
  #receiveEnd(): void {
    this.#transmission?.finish();
    if (this.#transmission === undefined) this.#socket.destroy();
    else void this.#endAfterAnswers();
  }

  async #endAfterAnswers(): Promise<void> {
    await this.#transmission?.settle();
    this.#end();
  }

  #end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const socket = this.#socket;
    socket.end();
    // What still comes is read and forgotten: closing with it unread would discard our last answers.
    socket.resume();
    if (socket.readableEnded) socket.destroySoon();
    else socket.once('end', () => socket.destroySoon());
    this.#timer = setTimeout(() => socket.destroy(), LINGER_MS);
  }

  async #closed(): Promise<void> {
    clearTimeout(this.#timer);
    this.#isEnding = true;
    this.#transmission?.abandon();
    await this.#transmission?.settle();
  }

  #transmit(agreement: NbdAgreement): Transmission {
    const { blockExport, memory, pool, limits, onFailure } = this.#options;
    const stop = new AbortController();
    // Every read that waits listens.
    setMaxListeners(0, stop.signal);
    const socket = this.#socket;
    return new Transmission({
      ...{ blockExport, agreement, pool, stop, onFailure },
      memory: memory.client(),
      maxRequests: limits.maxRequests,
      output: {
        send(pieces, onSent) {
          const last = pieces.length - 1;
          socket.cork();
          for (const [i, piece] of pieces.entries()) {
            socket.write(piece, i === last ? () => onSent() : undefined);
          }
          socket.uncork();
        },
        destroy: () => void socket.destroy(),
      },
    });
  }
}
