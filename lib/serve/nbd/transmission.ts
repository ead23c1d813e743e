/**
 * The requests of one NBD client (spec/nbd.md, "Protocol"): many under way at a time, each answered
 * when it is done. Used by the connections of the NBD server and of kernel devices.
 */
import { isCasError } from '../../../formats/errors.ts';
import { NBD_COMMAND, NBD_COMMAND_FLAG, NBD_ERROR } from '../../../formats/nbd-constants.ts';
import type { NbdAgreement } from '../../../formats/nbd-negotiation.ts';
import {
  encodeNbdBlockStatus,
  encodeNbdError,
  encodeNbdSimpleReply,
} from '../../../formats/nbd-replies.ts';
import {
  faultOfNbdRequest,
  type NbdFault,
  type NbdRequest,
  type NbdRequestEvent,
  NbdRequestParser,
} from '../../../formats/nbd-requests.ts';
import { abortedError } from '../../errors.ts';
import type { BufferPool } from '../buffer-pool.ts';
import type { BlockExport } from './block-export.ts';
import type { ClientMemory } from './client-memory.ts';
import { IncomingWrite } from './incoming-write.ts';
import { PIECE_BYTES } from './limits.ts';
import { answerInChunks, answerSimply, type ReadFailure, readExactly } from './read-answers.ts';
import { type NbdOutput, ReplyOutput } from './reply-output.ts';
import { stretchesOf } from './stretches.ts';

export interface TransmissionOptions {
  readonly blockExport: BlockExport;
  readonly agreement: NbdAgreement;
  readonly output: NbdOutput;
  readonly memory: ClientMemory;
  readonly pool: BufferPool;
  /** Requests under way; those behind them wait unread. */
  readonly maxRequests: number;
  /** Fired here to end the waiting of reads. */
  readonly stop: AbortController;
  /** Told of failures, besides the client. */
  readonly onFailure: (error: unknown) => void;
}

const ENDED: NbdFault = { error: NBD_ERROR.ESHUTDOWN, message: 'the server ends' };
const SLOW_ZEROES: NbdFault = { error: NBD_ERROR.ENOTSUP, message: 'this would not be fast' };
/** Stretches in one answer. */
const MAX_STRETCHES = 1024;
const SHORTEST_ZERO = 512;
/** Bytes that one request brings into memory. */
const MAX_CACHED = 32 * 1024 * 1024;

export class Transmission {
  readonly #options: TransmissionOptions;
  readonly #output: ReplyOutput;
  readonly #parser = new NbdRequestParser();
  readonly #text = new TextEncoder();
  #write: IncomingWrite | undefined;
  #underWay = 0;
  #isRefusing = false;
  #isOver = false;
  /** Told at the end of each request. */
  #onDone: (() => void)[] = [];

  constructor(options: TransmissionOptions) {
    this.#options = options;
    this.#output = new ReplyOutput(options.output);
  }

  /** Whether the client has said good-bye. What it sends then is not looked at. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Takes the next bytes of the client.
   * @returns where too much is under way a promise: bytes must stay, and none may follow, until then
   */
  feed(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#isOver) return undefined;
    this.#parser.feed(bytes);
    return this.#advance();
  }

  /** From now on requests are refused. */
  refuse(): void {
    this.#isRefusing = true;
  }

  /** Ends the waiting of reads: they fail. */
  hurry(): void {
    this.refuse();
    this.#options.stop.abort(abortedError());
  }

  /** No more comes from the client; it may still read its answers. */
  finish(): void {
    this.#isOver = true;
    const write = this.#write;
    if (write === undefined) return;
    this.#write = undefined;
    write.abandon();
    const end = (): void => this.#end();
    write.finish().then(end, end);
  }

  /** The client has gone. */
  abandon(): void {
    this.finish();
    this.#options.memory.close();
    this.hurry();
  }

  /** Resolves when nothing is under way. */
  async settle(): Promise<void> {
    while (this.#underWay > 0) await this.#nextDone();
  }

  #nextDone(): Promise<void> {
    return new Promise((resolve) => this.#onDone.push(resolve));
  }

  #advance(): Promise<void> | undefined {
    while (!this.#isOver) {
      const event = this.#parser.next();
      if (event === undefined) return undefined;
      const waiting = this.#accept(event);
      if (waiting !== undefined) return waiting.then(() => this.#advance());
    }
    return undefined;
  }

  #accept(event: NbdRequestEvent): Promise<void> | undefined {
    if (event.type === 'data') return this.#takeData(event.bytes);
    if (event.type === 'broken') {
      this.#isOver = true;
      this.#output.destroy();
      return undefined;
    }
    const { request } = event;
    if (request.command === NBD_COMMAND.disconnect) {
      this.#isOver = true;
      return undefined;
    }
    if (this.#underWay >= this.#options.maxRequests) return this.#beginLater(request);
    this.#begin(request);
    return undefined;
  }

  async #beginLater(request: NbdRequest): Promise<void> {
    while (this.#underWay >= this.#options.maxRequests) await this.#nextDone();
    if (!this.#isOver) this.#begin(request);
  }

  #begin(request: NbdRequest): void {
    this.#underWay += 1;
    const { blockExport, agreement, memory, pool } = this.#options;
    const { size, writer } = blockExport;
    const rules = { ...agreement, size, isWritable: writer !== undefined };
    const fault = this.#isRefusing ? ENDED : faultOfNbdRequest(request, rules);
    if (request.command === NBD_COMMAND.write) {
      this.#write = new IncomingWrite(request, { writer, memory, pool, fault });
      if (request.length === 0) this.#finishWrite(this.#write);
      return;
    }
    if (fault !== undefined) this.#refuseRequest(request, fault);
    else this.#answer(request);
  }

  #takeData(bytes: Uint8Array): Promise<void> | undefined {
    const write = this.#write;
    if (write === undefined) return undefined;
    const finish = (): void => {
      if (write.isComplete && this.#write === write) this.#finishWrite(write);
    };
    const waiting = write.take(bytes);
    if (waiting === undefined) finish();
    return waiting?.then(finish);
  }

  #finishWrite(write: IncomingWrite): void {
    this.#write = undefined;
    const { request, fault } = write;
    if (fault !== undefined) this.#refuseRequest(request, fault);
    else this.#confirm(request, () => write.finish());
  }

  #answer(request: NbdRequest): void {
    const { command, flags, offset, length } = request;
    const { writer } = this.#options.blockExport;
    const range = { offset, length };
    switch (command) {
      case NBD_COMMAND.read:
        void this.#answerRead(request);
        return;
      case NBD_COMMAND.blockStatus:
        this.#answerStatus(request);
        return;
      case NBD_COMMAND.flush:
        this.#confirm(request, async () => writer?.flush());
        return;
      case NBD_COMMAND.cache:
        this.#confirm(request, () => this.#bringIn(offset, Math.min(length, MAX_CACHED)));
        return;
      case NBD_COMMAND.writeZeroes: {
        const keep = (flags & NBD_COMMAND_FLAG.noHole) !== 0;
        const isFast = (flags & NBD_COMMAND_FLAG.fastZero) !== 0;
        // Space that is to be kept has to be written.
        if (keep && isFast) this.#refuseRequest(request, SLOW_ZEROES);
        else this.#confirm(request, async () => writer?.zero(range, { keep }));
        return;
      }
      default:
        // A hint, which is taken.
        this.#confirm(request, async () => writer?.zero(range));
    }
  }

  /** Does what a request wants and says that it is done, or why not. */
  #confirm(request: NbdRequest, action: () => Promise<void>): void {
    const { writer } = this.#options.blockExport;
    const hasToLast = (request.flags & NBD_COMMAND_FLAG.fua) !== 0;
    const run = async (): Promise<void> => {
      await action();
      if (hasToLast && request.command !== NBD_COMMAND.flush) await writer?.flush();
    };
    run().then(
      () => this.#output.send([encodeNbdSimpleReply(request.cookie, 0)], () => this.#end()),
      (error: unknown) => this.#fail(request, { error, offset: request.offset }),
    );
  }

  async #answerRead(request: NbdRequest): Promise<void> {
    const { agreement, blockExport, memory } = this.#options;
    const answer = agreement.isStructured ? answerInChunks : answerSimply;
    const { signal } = this.#options.stop;
    const options = { reader: blockExport, memory, output: this.#output, signal };
    const failure = await answer(request, options, () => this.#end());
    if (failure !== undefined) this.#fail(request, failure);
  }

  #answerStatus(request: NbdRequest): void {
    const isOne = (request.flags & NBD_COMMAND_FLAG.reqOne) !== 0;
    const stretches = stretchesOf(this.#options.blockExport, request, {
      shortestZero: SHORTEST_ZERO,
      maxCount: isOne ? 1 : MAX_STRETCHES,
    });
    const bytes = encodeNbdBlockStatus(stretches, request.cookie);
    this.#output.send([bytes], () => this.#end());
  }

  async #bringIn(offset: number, length: number): Promise<void> {
    const { blockExport: reader, memory } = this.#options;
    const { signal } = this.#options.stop;
    for (let at = offset; at < offset + length; at += PIECE_BYTES) {
      const size = Math.min(PIECE_BYTES, offset + length - at);
      await memory.take(size);
      try {
        (await readExactly({ offset: at, length: size }, { reader, signal })).release();
      } finally {
        memory.give(size);
      }
    }
  }

  #fail(request: NbdRequest, failure: ReadFailure): void {
    if ('fault' in failure) {
      this.#refuseRequest(request, failure.fault);
      return;
    }
    const { error, offset } = failure;
    const fault = this.#options.stop.signal.aborted ? ENDED : faultOf(error);
    if (fault !== ENDED) this.#options.onFailure(error);
    const isRead = request.command === NBD_COMMAND.read;
    this.#refuseRequest(request, fault, isRead ? offset : undefined);
  }

  #refuseRequest({ cookie }: NbdRequest, { error, message }: NbdFault, offset?: number): void {
    const bytes = this.#options.agreement.isStructured
      ? encodeNbdError(error, this.#text.encode(message), cookie, offset)
      : encodeNbdSimpleReply(cookie, error);
    this.#output.send([bytes], () => this.#end());
  }

  /** A request is answered, or nobody is there to be answered. */
  #end(): void {
    this.#underWay -= 1;
    const waiting = this.#onDone;
    this.#onDone = [];
    for (const wake of waiting) wake();
  }
}

function faultOf(error: unknown): NbdFault {
  if (!isCasError(error)) return { error: NBD_ERROR.EIO, message: 'internal error' };
  const { code, message } = error;
  return { error: code === 'TARGET_FULL' ? NBD_ERROR.ENOSPC : NBD_ERROR.EIO, message };
}
