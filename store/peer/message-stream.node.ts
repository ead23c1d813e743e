/**
 * Messages of the casync protocol over a pair of streams: those of a child process, or our own standard
 * input and output. Used by both sides. Rules: spec/formats/remote-protocol.md.
 */
import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { Agreement } from '../../formats/protocol-flags.ts';
import { encodeMessage, type Message } from '../../formats/remote-protocol.ts';
import { MessageDecoder } from '../../formats/remote-protocol-decoder.ts';
import { StorageError } from '../errors.ts';
import { toStorageError } from '../system-error.node.ts';

/** Step of errors that say that the connection is gone. */
export const RECEIVE = 'receive';

export interface MessageStreamOptions {
  /** Flags of our hello, which is sent at once. */
  readonly flags: number;
  /** The other side, for messages; never contains credentials. */
  readonly label: string;
}

/**
 * A conversation. One caller receives, any number of callers send. A message is sent whole, in the order
 * of the calls; nothing is read ahead of {@link receive} but what the streams buffer.
 */
export class MessageStream {
  readonly label: string;
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #decoder: MessageDecoder;
  /** Whether the decoder still has bytes to look at. */
  #isFed = false;
  #wake = (): void => {};
  #writable: Promise<void> | undefined;
  #patienceMs: number | undefined;
  #isTimedOut = false;
  /** Runs while somebody waits for bytes. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isWaiting = false;
  /** What the stream of input has failed with. */
  #inputError: unknown;

  constructor(input: Readable, output: Writable, { flags, label }: MessageStreamOptions) {
    this.label = label;
    this.#input = input;
    this.#output = output;
    this.#decoder = new MessageDecoder(flags);
    for (const event of ['readable', 'end', 'close']) input.on(event, () => this.#wake());
    input.on('error', (error) => {
      this.#inputError = error;
      this.#wake();
    });
    // Told to whoever sends; without a listener the process would end.
    output.on('error', () => {});
    this.#write({ kind: 'hello', flags });
  }

  /** What both hellos have settled; undefined until the first message has been received. */
  get agreement(): Agreement | undefined {
    return this.#decoder.agreement;
  }

  /**
   * The next message, the other side's hello first; undefined if the other side has ended between
   * messages. Bytes of the message are valid until the next call.
   * @throws FormatError for what the rules do not allow; StorageError, also when nothing has come
   * for as long as {@link setPatience} allows
   */
  async receive(): Promise<Message | undefined> {
    for (;;) {
      if (this.#isFed) {
        const message = this.#decoder.next();
        if (message !== undefined) return message;
        this.#isFed = false;
      }
      const portion = await this.#portion();
      if (portion === undefined) {
        this.#checkEnd();
        return undefined;
      }
      this.#decoder.feed(portion);
      this.#isFed = true;
    }
  }

  /**
   * Sends a message of a kind that was agreed; resolves when the other side keeps up. Its bytes must not
   * change any more.
   * @throws StorageError `UNAVAILABLE` if the other side does not read any more
   */
  async send(message: Message): Promise<void> {
    if (this.agreement?.weMaySend.has(message.kind) !== true) {
      throw new TypeError(`nobody has agreed to ${message.kind}`);
    }
    this.#checkOutput();
    if (this.#write(message)) return;
    await this.#drained();
    this.#checkOutput();
  }

  /** How long {@link receive} may wait for bytes, from now on; undefined for ever. */
  setPatience(patienceMs: number | undefined): void {
    if (patienceMs === this.#patienceMs) return;
    this.#patienceMs = patienceMs;
    if (this.#isWaiting) this.#startTimer();
  }

  /** Nothing more will be sent; resolves when all of it was handed over, or could not be. */
  async end(): Promise<void> {
    const output = this.#output;
    if (output.destroyed) return;
    await new Promise<void>((resolve) => {
      output.once('close', () => resolve());
      output.end(() => resolve());
    });
  }

  /** Lets go of both streams; whoever waits is told. */
  destroy(): void {
    this.#input.destroy();
    this.#output.destroy();
  }

  /** @returns whether more should be sent now */
  #write(message: Message): boolean {
    const output = this.#output;
    if (output.destroyed || output.writableEnded) return true;
    const parts = encodeMessage(message);
    let hasRoom = true;
    output.cork();
    for (const part of parts) hasRoom = output.write(part);
    output.uncork();
    return hasRoom;
  }

  #checkOutput(): void {
    const { destroyed, errored, writableEnded } = this.#output;
    if (!destroyed && errored === null && !writableEnded) return;
    const reason = 'Broken pipe';
    throw new StorageError('UNAVAILABLE', {
      subject: this.label,
      step: 'send',
      reason,
      retry: 'later',
    });
  }

  #drained(): Promise<void> {
    const output = this.#output;
    this.#writable ??= new Promise((resolve) => {
      const done = (): void => {
        for (const event of ['drain', 'close', 'error']) output.off(event, done);
        this.#writable = undefined;
        resolve();
      };
      for (const event of ['drain', 'close', 'error']) output.on(event, done);
    });
    return this.#writable;
  }

  /** An end inside a message is a cut connection, no matter of form. */
  #checkEnd(): void {
    try {
      this.#decoder.finish();
    } catch (cause) {
      throw new StorageError('UNAVAILABLE', {
        subject: this.label,
        step: RECEIVE,
        reason: 'the connection ends inside a message',
        retry: 'later',
        cause,
      });
    }
  }

  async #portion(): Promise<Uint8Array | undefined> {
    for (;;) {
      const portion: Buffer | null = this.#input.read();
      if (portion !== null) {
        this.#isTimedOut = false;
        // A Buffer's `slice` would be no copy.
        return new Uint8Array(portion.buffer, portion.byteOffset, portion.length);
      }
      if (this.#inputError !== undefined) {
        throw toStorageError(this.#inputError, this.label, RECEIVE);
      }
      if (this.#input.readableEnded || this.#input.destroyed) return undefined;
      if (this.#isTimedOut) throw this.#timedOut();
      await this.#readable();
    }
  }

  #timedOut(): StorageError {
    return new StorageError('UNAVAILABLE', {
      subject: this.label,
      reason: `nothing has come for ${(this.#patienceMs ?? 0) / 1000} seconds`,
      retry: 'later',
    });
  }

  async #readable(): Promise<void> {
    this.#isWaiting = true;
    this.#startTimer();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#isWaiting = false;
    clearTimeout(this.#timer);
  }

  #startTimer(): void {
    clearTimeout(this.#timer);
    if (this.#patienceMs === undefined) return;
    this.#timer = setTimeout(() => {
      this.#isTimedOut = true;
      this.#wake();
    }, this.#patienceMs);
  }
}

export interface StreamPair {
  readonly input: Readable;
  readonly output: Writable;
}

/**
 * Our own standard input and output, which nobody else may use then. Pipes and sockets are read and
 * written without blocking, whatever mode they came in; files are refused.
 * @throws StorageError if one of them is neither pipe nor socket
 */
export function openStandardStreams(): StreamPair {
  for (const fd of [0, 1]) {
    const kind = fstatSync(fd);
    if (kind.isFIFO() || kind.isSocket()) continue;
    const subject = fd === 0 ? 'standard input' : 'standard output';
    throw new StorageError('IO', { subject, reason: 'must be a pipe or a socket' });
  }
  return {
    input: new Socket({ fd: 0, readable: true, writable: false }),
    output: new Socket({ fd: 1, readable: false, writable: true }),
  };
}
