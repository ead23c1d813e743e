/**
 * A session between two casyncs over a pair of streams: frames in order, both ways at once, with a
 * bounded number of bytes under way. Used by both sides, for images and trees. Rules:
 * spec/formats/session.md, "Connection".
 */
import type { Readable, Writable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { type CasError, FormatError } from '../../../formats/errors.ts';
import {
  encodeFrameHeader,
  FRAME_HEADER_LENGTH,
  FRAME_KIND,
  type Frame,
  FrameDecoder,
  MAX_FRAME_CONTENT,
  SESSION_PREAMBLE,
} from '../../../formats/session-frames.ts';
import {
  decodeCredit,
  decodeHello,
  encodeCredit,
  encodeHello,
  SESSION_WINDOW,
} from '../../../formats/session-hello.ts';
import { StorageError } from '../../../store/errors.ts';
import { toStorageError } from '../../../store/system-error.node.ts';
import type { Codec } from '../../../store/transforms.ts';
import type { Throttle } from '../../../store/wrap/throttle.ts';
import { BytePool } from './byte-pool.ts';
import type { SessionConnection, SessionMessage } from './connection.ts';
import { FramePacker } from './frame-packer.ts';
import { decodeFailure, decodeText, encodeFailure, encodeText } from './session-text.ts';

export interface SessionStreamOptions {
  readonly label: string;
  /** Compression of what is sent; undefined for none. What comes may be compressed in any case. */
  readonly codec: Codec;
  readonly compresses: boolean;
  readonly throttle?: Throttle;
  /** How long the other side may be silent; it says at least every ten seconds that it is there. */
  readonly timeoutMs: number;
  readonly onWarning: (text: string) => void;
  /** Says better than the stream why the other side is gone. */
  readonly whyGone?: () => Promise<CasError>;
}

const ALIVE_EVERY_MS = 10_000;
/** Credit is given back in portions of this size. */
const CREDIT_PORTION = SESSION_WINDOW / 4;

export class SessionStream implements SessionConnection {
  readonly label: string;
  readonly #options: SessionStreamOptions;
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #pool = new BytePool();
  readonly #packer: FramePacker;
  readonly #decoder = new FrameDecoder(crc32, (length) => this.#pool.take(length));
  readonly #queue: Frame[] = [];
  readonly #timer: ReturnType<typeof setInterval>;
  #queued = 0;
  #owed = 0;
  #credit = SESSION_WINDOW;
  #turn: Promise<void> = Promise.resolve();
  /** Whoever waits for frames, credit or room looks again. */
  #wakers: (() => void)[] = [];
  #failure: unknown;
  #hasEnded = false;
  #isHelloHeard = false;
  #isByeHeard = false;
  #isClosed = false;
  #isGivenUp = false;
  #sent = 0;
  #received = 0;
  #heardAt = performance.now();
  #hasSentLately = false;

  constructor(input: Readable, output: Writable, options: SessionStreamOptions) {
    this.label = options.label;
    this.#options = options;
    this.#packer = new FramePacker(this.#pool, options);
    this.#input = input;
    this.#output = output;
    input.on('data', (bytes: Uint8Array) => this.#heard(bytes));
    input.on('error', (error) => this.#fail(toStorageError(error, this.label, 'receive')));
    for (const event of ['end', 'close']) input.on(event, () => this.#ended());
    for (const event of ['drain', 'close']) output.on(event, () => this.#wake());
    output.on('error', () => this.#wake());
    this.#timer = setInterval(() => this.#tick(), ALIVE_EVERY_MS);
    this.#timer.unref();
    this.#writeBytes([SESSION_PREAMBLE], undefined);
    this.#write({ kind: FRAME_KIND.hello, content: encodeHello() });
  }

  get sentBytes(): number {
    return this.#sent;
  }

  get receivedBytes(): number {
    return this.#received;
  }

  send(kind: number, content: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#send(kind, content, false));
  }

  lend(length: number): Uint8Array {
    return this.#pool.take(length);
  }

  sendLent(kind: number, content: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#send(kind, content, true));
  }

  giveBack(content: Uint8Array): void {
    this.#pool.give(content);
  }

  #inTurn(send: () => Promise<void>): Promise<void> {
    const sent = this.#turn.then(send);
    this.#turn = sent.catch(() => {});
    return sent;
  }

  async receive(): Promise<SessionMessage | undefined> {
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) {
        this.#giveCredit(frame);
        return { kind: frame.kind, content: await this.#packer.plain(frame) };
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isByeHeard) return undefined;
      if (this.#hasEnded) throw await this.#gone();
      await this.#waiting();
    }
  }

  warn(text: string): Promise<void> {
    return this.send(FRAME_KIND.warning, encodeText(text));
  }

  /** Says that all is done; nothing can be sent any more. Resolves when it was handed over. */
  async finish(): Promise<void> {
    await this.send(FRAME_KIND.bye, new Uint8Array(0));
    await this.close();
  }

  /**
   * Tells the other side what has gone wrong here, if that can be told, and lets go.
   * @returns whether the other side knows: it was told, or has said so itself
   */
  async fail(error: CasError): Promise<boolean> {
    const isTold = !this.#isGivenUp && !this.#isClosed && !this.#hasEnded && this.#isOutputOpen();
    if (isTold) this.#write({ kind: FRAME_KIND.failure, content: encodeFailure(error) });
    this.#fail(error);
    await this.close();
    return isTold || this.#isGivenUp;
  }

  /** Lets go of both streams. */
  destroy(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#input.destroy();
    this.#output.destroy();
    this.#wake();
  }

  /** Sends nothing any more; resolves when all was handed over, or could not be. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    const output = this.#output;
    if (output.destroyed) return;
    await new Promise<void>((resolve) => {
      for (const event of ['close', 'error']) output.once(event, () => resolve());
      output.end(() => resolve());
    });
  }

  async #send(kind: number, content: Uint8Array, isLent: boolean): Promise<void> {
    const frame = await this.#packer.packed(kind, content, isLent);
    const length = FRAME_HEADER_LENGTH + frame.content.length;
    await this.#options.throttle?.enter(length, undefined);
    while (this.#credit <= 0) {
      await this.#checkOpen();
      await this.#waiting();
    }
    await this.#checkOpen();
    this.#credit -= length;
    const isOwn = isLent || frame.plainLength !== undefined;
    if (this.#write(frame, isOwn ? () => this.#pool.give(frame.content) : undefined)) return;
    while (this.#output.writableNeedDrain && this.#isOutputOpen() && this.#failure === undefined) {
      await this.#waiting();
    }
  }

  /** @throws the reason why nothing can be sent */
  async #checkOpen(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isClosed) throw new TypeError('the session is closed');
    if (!this.#isOutputOpen()) throw await this.#gone();
  }

  #isOutputOpen(): boolean {
    const { destroyed, errored, writableEnded } = this.#output;
    return !destroyed && errored === null && !writableEnded;
  }

  /** @param onFlushed called when nobody looks at the content any more */
  #write(frame: Frame, onFlushed: (() => void) | undefined = undefined): boolean {
    this.#hasSentLately = true;
    return this.#writeBytes([encodeFrameHeader(frame, crc32), frame.content], onFlushed);
  }

  #writeBytes(parts: readonly Uint8Array[], onFlushed: (() => void) | undefined): boolean {
    const output = this.#output;
    let hasRoom = true;
    output.cork();
    for (const part of parts) {
      if (part.length === 0) continue;
      hasRoom = output.write(part, part === parts.at(-1) ? onFlushed : undefined);
      this.#sent += part.length;
    }
    output.uncork();
    return hasRoom;
  }

  #heard(bytes: Uint8Array): void {
    this.#received += bytes.length;
    this.#heardAt = performance.now();
    if (this.#failure !== undefined) return;
    try {
      this.#decoder.feed(bytes);
      for (;;) {
        const frame = this.#decoder.next();
        if (frame === undefined) break;
        this.#take(frame);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#wake();
  }

  /** @throws FormatError */
  #take(frame: Frame): void {
    const { kind, content } = frame;
    if (this.#isByeHeard) throw new FormatError('session', 'BYE', 0, 'nothing follows it');
    if (!this.#isHelloHeard && kind !== FRAME_KIND.failure) {
      if (kind !== FRAME_KIND.hello) throw new FormatError('session', 'HELLO', 0, 'must be first');
      decodeHello(content);
      this.#isHelloHeard = true;
      return;
    }
    switch (kind) {
      case FRAME_KIND.credit:
        this.#credit += decodeCredit(content);
        if (this.#credit > SESSION_WINDOW) {
          throw new FormatError('session', 'CREDIT', 0, 'more than was sent');
        }
        return;
      case FRAME_KIND.failure:
        this.#failure ??= decodeFailure(content, this.label);
        this.#isGivenUp = true;
        return;
      case FRAME_KIND.alive:
        return;
      case FRAME_KIND.hello:
        throw new FormatError('session', 'HELLO', 0, 'comes once');
    }
    this.#queued += FRAME_HEADER_LENGTH + content.length;
    if (this.#queued > SESSION_WINDOW + FRAME_HEADER_LENGTH + MAX_FRAME_CONTENT) {
      throw new FormatError('session', 'FRAME', 0, 'more than the window');
    }
    if (kind === FRAME_KIND.warning) {
      this.#options.onWarning(`${this.label}: ${decodeText(content)}`);
      this.#giveCredit(frame);
    } else if (kind === FRAME_KIND.bye) this.#isByeHeard = true;
    else this.#queue.push(frame);
  }

  #giveCredit({ content }: Frame): void {
    const length = FRAME_HEADER_LENGTH + content.length;
    this.#queued -= length;
    this.#owed += length;
    if (this.#owed < CREDIT_PORTION || this.#isClosed || !this.#isOutputOpen()) return;
    this.#write({ kind: FRAME_KIND.credit, content: encodeCredit(this.#owed) });
    this.#owed = 0;
  }

  #ended(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  async #gone(): Promise<unknown> {
    this.#failure ??=
      (await this.#options.whyGone?.()) ??
      new StorageError('UNAVAILABLE', {
        subject: this.label,
        reason: 'the connection has ended before all was done; the next run goes on from there',
        retry: 'later',
      });
    return this.#failure;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }

  #waiting(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakers.push(resolve);
    });
  }

  #tick(): void {
    const { timeoutMs } = this.#options;
    if (this.#wakers.length > 0 && performance.now() - this.#heardAt > timeoutMs) {
      const reason = `nothing has come for ${timeoutMs / 1000} seconds`;
      this.#fail(new StorageError('UNAVAILABLE', { subject: this.label, reason, retry: 'later' }));
    }
    if (!this.#hasSentLately && this.#isOutputOpen()) {
      this.#write({ kind: FRAME_KIND.alive, content: new Uint8Array(0) });
    }
    this.#hasSentLately = false;
  }
}
