/**
 * Cuts what an SFTP server sends into packets. The bytes of files go to their place at once, without
 * a copy of the packet in between. Used by sftp-session.node.ts.
 */
import { FormatError } from '../../formats/errors.ts';
import { PACKET } from './sftp-packets.ts';

/** No server has longer packets than 256 KiB; what is much longer is no SFTP. */
const MAX_PACKET_LENGTH = 1024 * 1024;
/** Type and id; in a DATA packet also the length of the data. */
const SHORT_HEAD = 5;
const LONG_HEAD = 9;

/** Where the bytes of a file go. */
export interface Destination {
  /** What lies behind it is counted and dropped; undefined once nobody wants the bytes any more. */
  target: Uint8Array | undefined;
  /** How many may come. */
  readonly asked: number;
}

export interface PacketHandler {
  /** Where the answer to this request goes; undefined if no such answer is awaited. */
  readonly destination: (id: number) => Destination | undefined;
  /** All bytes of an answer are there. */
  readonly onData: (id: number, length: number) => void;
  /** Any other packet. The body is of the caller; `id` is the first field of every packet but VERSION. */
  readonly onPacket: (type: number, id: number, body: Uint8Array) => void;
}

export class PacketReader {
  readonly #handler: PacketHandler;
  readonly #head = new Uint8Array(4 + LONG_HEAD);
  readonly #headView = new DataView(this.#head.buffer);
  #headLength = 0;
  /** Of what follows the head. */
  #body: Uint8Array | undefined;
  #bodyLength = 0;
  #done = 0;
  #destination: Destination | undefined;

  constructor(handler: PacketHandler) {
    this.#handler = handler;
  }

  /** Takes the next bytes of the stream. @throws FormatError if this is no SFTP */
  push(bytes: Uint8Array): void {
    let offset = 0;
    while (offset < bytes.length) {
      const wanted = this.#headWanted();
      if (this.#headLength < wanted) {
        const end = Math.min(bytes.length, offset + wanted - this.#headLength);
        this.#head.set(bytes.subarray(offset, end), this.#headLength);
        this.#headLength += end - offset;
        offset = end;
        if (this.#headLength === this.#headWanted()) this.#begin();
      } else {
        const end = Math.min(bytes.length, offset + this.#bodyLength - this.#done);
        this.#take(bytes, offset, end);
        offset = end;
      }
      if (this.#headLength === this.#headWanted() && this.#done === this.#bodyLength)
        this.#finish();
    }
  }

  #headWanted(): number {
    if (this.#headLength < 4 + SHORT_HEAD) return 4 + SHORT_HEAD;
    return 4 + (this.#head[4] === PACKET.DATA ? LONG_HEAD : SHORT_HEAD);
  }

  /** The head is there. */
  #begin(): void {
    const length = this.#headView.getUint32(0);
    const isData = this.#head[4] === PACKET.DATA;
    const headLength = isData ? LONG_HEAD : SHORT_HEAD;
    if (length < headLength || length > MAX_PACKET_LENGTH) {
      throw new FormatError('SFTP', 'packet', 0, `a length of ${length} bytes`);
    }
    this.#bodyLength = length - headLength;
    this.#done = 0;
    if (!isData) {
      this.#body = new Uint8Array(this.#bodyLength);
      return;
    }
    this.#destination = this.#handler.destination(this.#headView.getUint32(5));
    const dataLength = this.#headView.getUint32(9);
    const isExpected = this.#destination !== undefined && dataLength <= this.#destination.asked;
    if (isExpected && dataLength === this.#bodyLength) return;
    throw new FormatError('SFTP', 'DATA', 9, `${dataLength} bytes that nobody asked for`);
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    const target = this.#body ?? this.#destination?.target;
    const length = Math.min(end - start, (target?.length ?? 0) - this.#done);
    if (length > 0) target?.set(bytes.subarray(start, start + length), this.#done);
    this.#done += end - start;
  }

  #finish(): void {
    const id = this.#headView.getUint32(5);
    const type = this.#head[4];
    const body = this.#body;
    this.#headLength = 0;
    this.#body = undefined;
    this.#destination = undefined;
    if (body === undefined) this.#handler.onData(id, this.#bodyLength);
    else this.#handler.onPacket(type, id, body);
  }
}
