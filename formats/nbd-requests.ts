/**
 * Requests of NBD clients: bytes in portions become requests and the data of writes; and what is wrong
 * with a request before anything is done (spec/nbd.md, "Protocol").
 */
import { readSizeBe, readU16Be, readU32Be } from './big-endian.ts';
import {
  NBD_COMMAND,
  NBD_COMMAND_FLAG,
  NBD_ERROR,
  NBD_LIMIT,
  NBD_MAGIC,
  type NbdError,
} from './nbd-constants.ts';
import type { NbdAgreement } from './nbd-negotiation.ts';
import { PushCursor } from './push-cursor.ts';

export interface NbdRequest {
  /** Of `NBD_COMMAND`, or any other number. */
  readonly command: number;
  readonly flags: number;
  /** Eight bytes by which the client knows the answer. */
  readonly cookie: Uint8Array;
  /** Infinity if it is beyond 2^53. */
  readonly offset: number;
  readonly length: number;
}

export type NbdRequestEvent =
  | { readonly type: 'request'; readonly request: NbdRequest }
  /** Data of the last request, which is a write; a view of the portion. */
  | { readonly type: 'data'; readonly bytes: Uint8Array }
  /** What follows is no request. Nothing more comes. */
  | { readonly type: 'broken' };

const REQUEST_SIZE = 28;

export class NbdRequestParser {
  readonly #cursor = new PushCursor();
  #dataLeft = 0;
  #isBroken = false;

  /** The next portion. The one before must be used up. */
  feed(bytes: Uint8Array): void {
    this.#cursor.feed(bytes);
  }

  /** The next thing in the portion; undefined if it is used up. */
  next(): NbdRequestEvent | undefined {
    if (this.#isBroken) return undefined;
    if (this.#dataLeft > 0) {
      const bytes = this.#cursor.take(this.#dataLeft);
      this.#dataLeft -= bytes.length;
      return bytes.length === 0 ? undefined : { type: 'data', bytes };
    }
    if (!this.#cursor.has(REQUEST_SIZE)) return undefined;
    const { bytes, start } = this.#cursor;
    if (readU32Be(bytes, start) !== NBD_MAGIC.request) {
      this.#isBroken = true;
      return { type: 'broken' };
    }
    const request: NbdRequest = {
      flags: readU16Be(bytes, start + 4),
      command: readU16Be(bytes, start + 6),
      cookie: bytes.slice(start + 8, start + 16),
      offset: readSizeBe(bytes, start + 16),
      length: readU32Be(bytes, start + 24),
    };
    this.#cursor.advance(REQUEST_SIZE);
    if (request.command === NBD_COMMAND.write) this.#dataLeft = request.length;
    return { type: 'request', request };
  }
}

/** What a request is checked against. */
export interface NbdRequestRules extends NbdAgreement {
  /** Of the export, in bytes. */
  readonly size: number;
  readonly isWritable: boolean;
}

/** An error for a client, with a text for human eyes. */
export interface NbdFault {
  readonly error: NbdError;
  readonly message: string;
}

const { fua, df, noHole, fastZero, reqOne } = NBD_COMMAND_FLAG;

/** Flags that a command may carry. */
const FLAGS: ReadonlyMap<number, number> = new Map([
  [NBD_COMMAND.read, fua | df],
  [NBD_COMMAND.write, fua],
  [NBD_COMMAND.flush, fua],
  [NBD_COMMAND.trim, fua],
  [NBD_COMMAND.cache, fua],
  [NBD_COMMAND.writeZeroes, fua | noHole | fastZero],
  [NBD_COMMAND.blockStatus, fua | reqOne],
]);

const CHANGES: ReadonlySet<number> = new Set([
  NBD_COMMAND.write,
  NBD_COMMAND.trim,
  NBD_COMMAND.writeZeroes,
]);

const PAYLOADS: ReadonlySet<number> = new Set([NBD_COMMAND.read, NBD_COMMAND.write]);

/** What is wrong with a request, if anything. Not for `disconnect`, which has no answer. */
export function faultOfNbdRequest(
  { command, flags, offset, length }: NbdRequest,
  { size, isWritable, isStructured, hasAllocation }: NbdRequestRules,
): NbdFault | undefined {
  const allowed = FLAGS.get(command);
  if (allowed === undefined) return invalid('unknown command');
  const isUnfitDf = !isStructured && (flags & df) !== 0;
  if ((flags & ~allowed) !== 0 || isUnfitDf) return invalid('unfit flags');
  if (command === NBD_COMMAND.flush) {
    return offset === 0 && length === 0 ? undefined : invalid('flush of a range');
  }
  if (CHANGES.has(command) && !isWritable) {
    return { error: NBD_ERROR.EPERM, message: 'the export is read-only' };
  }
  if (command === NBD_COMMAND.blockStatus) {
    if (!hasAllocation) return invalid('no context was chosen');
    if (length === 0) return invalid('status of nothing');
  }
  if (PAYLOADS.has(command) && length > NBD_LIMIT.payloadBytes) {
    return invalid('longer than the largest block');
  }
  if (offset + length <= size) return undefined;
  const message = 'beyond the end of the export';
  if (command === NBD_COMMAND.trim || !CHANGES.has(command)) return invalid(message);
  return { error: NBD_ERROR.ENOSPC, message };
}

function invalid(message: string): NbdFault {
  return { error: NBD_ERROR.EINVAL, message };
}
