/**
 * The negotiation of an NBD server, fixed newstyle (spec/nbd.md, "Protocol"): bytes of a client in,
 * answers out, until both know what will be served. Used by the connections of the server.
 */
import { readU32Be } from './big-endian.ts';
import { asciiBytes, equalBytes } from './bytes.ts';
import {
  NBD_EXPORT_FLAG,
  NBD_HANDSHAKE_FLAG,
  NBD_LIMIT,
  NBD_MAGIC,
  NBD_OPTION,
  NBD_OPTION_REPLY,
} from './nbd-constants.ts';
import {
  decodeNbdContextRequest,
  decodeNbdExportRequest,
  encodeNbdContext,
  encodeNbdGreeting,
  encodeNbdInfos,
  encodeNbdListedExport,
  encodeNbdOldExport,
  encodeNbdOptionReply,
  type NbdExport,
  nbdExportFlags,
} from './nbd-options.ts';
import { PushCursor } from './push-cursor.ts';

type Answers = readonly Uint8Array[];

/** How client and server will talk. */
export interface NbdAgreement {
  /** Answers consist of chunks. */
  readonly isStructured: boolean;
  /** The client may ask which stretches are holes. */
  readonly hasAllocation: boolean;
}

/** The number of the context `base:allocation`. */
export const NBD_ALLOCATION_ID = 1;

/**
 * `open`: more is to be said. `agreed`: requests follow. `ended`: the client has said good-bye.
 * `broken`: it speaks something else, or wants what cannot be refused in words.
 */
export type NbdNegotiationState = 'open' | 'agreed' | 'ended' | 'broken';

const SERVER_FLAGS = NBD_HANDSHAKE_FLAG.fixedNewstyle | NBD_HANDSHAKE_FLAG.noZeroes;
const CLIENT_FLAGS_SIZE = 4;
const OPTION_HEADER_SIZE = 16;
const OPTION_MAGIC = asciiBytes(NBD_MAGIC.option);
const ALLOCATION = asciiBytes('base:allocation');
const BASE = asciiBytes('base:');

export class NbdNegotiation {
  /** The first bytes to be sent. */
  readonly greeting = encodeNbdGreeting(SERVER_FLAGS);
  readonly #export: NbdExport;
  readonly #cursor = new PushCursor();
  #state: NbdNegotiationState = 'open';
  #answers: Uint8Array[] = [];
  #clientFlags: number | undefined;
  /** The option whose data has not arrived, and how much of it. */
  #option: { readonly type: number; readonly length: number } | undefined;
  /** Bytes of an option that is too long to be kept. */
  #skipped = 0;
  #optionCount = 0;
  #isStructured = false;
  /** The name for which the context was chosen. */
  #allocationOf: Uint8Array | undefined;
  #hasAllocation = false;

  constructor(described: NbdExport) {
    this.#export = described;
  }

  get state(): NbdNegotiationState {
    return this.#state;
  }

  /** What was agreed upon, in the state `agreed`. */
  get agreement(): NbdAgreement {
    return { isStructured: this.#isStructured, hasAllocation: this.#hasAllocation };
  }

  /**
   * Takes the next bytes of the client.
   * @returns what is to be sent to it; at most some kilobytes for each of at most 128 options
   */
  feed(bytes: Uint8Array): readonly Uint8Array[] {
    this.#cursor.feed(bytes);
    while (this.#state === 'open' && this.#step());
    const answers = this.#answers;
    this.#answers = [];
    return answers;
  }

  /** Bytes of the last portion that are already requests. */
  rest(): Uint8Array {
    return this.#cursor.take(Number.POSITIVE_INFINITY);
  }

  /** @returns whether there may be more in the portion */
  #step(): boolean {
    if (this.#clientFlags === undefined) return this.#readFlags();
    if (this.#skipped > 0) {
      const { length } = this.#cursor.take(this.#skipped);
      this.#skipped -= length;
      return length > 0;
    }
    if (this.#option === undefined) return this.#readOption();
    const { type, length } = this.#option;
    if (!this.#cursor.has(length)) return false;
    const { bytes, start } = this.#cursor;
    const data = bytes.slice(start, start + length);
    this.#cursor.advance(length);
    this.#option = undefined;
    this.#answers.push(...this.#answer(type, data));
    return true;
  }

  #readFlags(): boolean {
    if (!this.#cursor.has(CLIENT_FLAGS_SIZE)) return false;
    const flags = readU32Be(this.#cursor.bytes, this.#cursor.start);
    this.#cursor.advance(CLIENT_FLAGS_SIZE);
    if ((flags & ~SERVER_FLAGS) !== 0) this.#state = 'broken';
    this.#clientFlags = flags;
    return true;
  }

  #readOption(): boolean {
    if (!this.#cursor.has(OPTION_HEADER_SIZE)) return false;
    const { bytes, start } = this.#cursor;
    const isOption = equalBytes(bytes.subarray(start, start + 8), OPTION_MAGIC);
    const type = readU32Be(bytes, start + 8);
    const length = readU32Be(bytes, start + 12);
    this.#cursor.advance(OPTION_HEADER_SIZE);
    this.#optionCount += 1;
    const isFixed = ((this.#clientFlags ?? 0) & NBD_HANDSHAKE_FLAG.fixedNewstyle) !== 0;
    const isUnderstood = isFixed || type === NBD_OPTION.exportName;
    if (!isOption || !isUnderstood || this.#optionCount > NBD_LIMIT.options) {
      this.#state = 'broken';
    } else if (length <= NBD_LIMIT.optionBytes) {
      this.#option = { type, length };
    } else if (type === NBD_OPTION.exportName) {
      this.#state = 'broken';
    } else {
      this.#skipped = length;
      this.#answers.push(...refuse(type, NBD_OPTION_REPLY.tooBig));
    }
    return true;
  }

  #answer(option: number, data: Uint8Array): Answers {
    switch (option) {
      case NBD_OPTION.exportName:
        return this.#choose(data);
      case NBD_OPTION.abort:
        this.#state = 'ended';
        return [reply(option, NBD_OPTION_REPLY.ack)];
      case NBD_OPTION.list:
        return this.#list(data);
      case NBD_OPTION.info:
      case NBD_OPTION.go:
        return this.#inform(option, data);
      case NBD_OPTION.structuredReply:
        if (data.length > 0) return refuse(option, NBD_OPTION_REPLY.invalid);
        this.#isStructured = true;
        return [reply(option, NBD_OPTION_REPLY.ack)];
      case NBD_OPTION.listMetaContext:
        return this.#listContexts(data);
      case NBD_OPTION.setMetaContext:
        return this.#setContexts(data);
      case NBD_OPTION.startTls:
        if (data.length > 0) return refuse(option, NBD_OPTION_REPLY.invalid);
        return refuse(option, NBD_OPTION_REPLY.unsupported);
      default:
        return refuse(option, NBD_OPTION_REPLY.unsupported);
    }
  }

  /** The oldest option, which cannot be refused in words. */
  #choose(name: Uint8Array): Answers {
    if (!this.#isOurs(name)) {
      this.#state = 'broken';
      return [];
    }
    const hasPadding = ((this.#clientFlags ?? 0) & NBD_HANDSHAKE_FLAG.noZeroes) === 0;
    this.#agree(name);
    return [encodeNbdOldExport(this.#export.size, this.#flags(), hasPadding)];
  }

  #list(data: Uint8Array): Answers {
    const option = NBD_OPTION.list;
    if (data.length > 0) return refuse(option, NBD_OPTION_REPLY.invalid);
    const listed = encodeNbdListedExport(this.#export);
    return [reply(option, NBD_OPTION_REPLY.server, listed), reply(option, NBD_OPTION_REPLY.ack)];
  }

  #inform(option: number, data: Uint8Array): Answers {
    const request = decodeNbdExportRequest(data);
    if (typeof request === 'number') return refuse(option, request);
    const { name, infos } = request;
    if (!this.#isOurs(name)) return refuse(option, NBD_OPTION_REPLY.unknownExport);
    if (option === NBD_OPTION.go) this.#agree(name);
    const told = encodeNbdInfos(this.#export, this.#flags(), infos);
    return [
      ...told.map((info) => reply(option, NBD_OPTION_REPLY.info, info)),
      reply(option, NBD_OPTION_REPLY.ack),
    ];
  }

  #listContexts(data: Uint8Array): Answers {
    const option = NBD_OPTION.listMetaContext;
    const request = decodeNbdContextRequest(data);
    if (typeof request === 'number') return refuse(option, request);
    const { name, queries } = request;
    if (!this.#isOurs(name)) return refuse(option, NBD_OPTION_REPLY.unknownExport);
    const isWanted =
      queries.length === 0 ||
      queries.some((query) => equalBytes(query, ALLOCATION) || equalBytes(query, BASE));
    return contextAnswers(option, isWanted ? 0 : undefined);
  }

  #setContexts(data: Uint8Array): Answers {
    const option = NBD_OPTION.setMetaContext;
    this.#allocationOf = undefined;
    const request = decodeNbdContextRequest(data);
    if (typeof request === 'number') return refuse(option, request);
    if (!this.#isStructured) return refuse(option, NBD_OPTION_REPLY.invalid);
    const { name, queries } = request;
    if (!this.#isOurs(name)) return refuse(option, NBD_OPTION_REPLY.unknownExport);
    if (!queries.some((query) => equalBytes(query, ALLOCATION))) {
      return contextAnswers(option, undefined);
    }
    this.#allocationOf = name;
    return contextAnswers(option, NBD_ALLOCATION_ID);
  }

  #agree(name: Uint8Array): void {
    // A context that was chosen for another name does not count.
    this.#hasAllocation = this.#allocationOf !== undefined && equalBytes(this.#allocationOf, name);
    this.#state = 'agreed';
  }

  #isOurs(name: Uint8Array): boolean {
    return name.length === 0 || equalBytes(name, this.#export.name);
  }

  #flags(): number {
    const flags = nbdExportFlags(this.#export);
    return this.#isStructured ? flags | NBD_EXPORT_FLAG.sendDf : flags;
  }
}

const REASONS: Readonly<Record<number, string>> = {
  [NBD_OPTION_REPLY.unsupported]: 'not supported',
  [NBD_OPTION_REPLY.invalid]: 'malformed option',
  [NBD_OPTION_REPLY.unknownExport]: 'no export of this name',
  [NBD_OPTION_REPLY.tooBig]: 'too much data',
};

function reply(option: number, type: number, data?: Uint8Array): Uint8Array {
  return encodeNbdOptionReply(option, type, data);
}

/** @param type one of `REASONS` */
function refuse(option: number, type: number): Answers {
  return [reply(option, type, asciiBytes(REASONS[type]))];
}

/** @param id of the context `base:allocation`; undefined if it is not meant */
function contextAnswers(option: number, id: number | undefined): Answers {
  const end = reply(option, NBD_OPTION_REPLY.ack);
  if (id === undefined) return [end];
  return [reply(option, NBD_OPTION_REPLY.metaContext, encodeNbdContext(id, ALLOCATION)), end];
}
