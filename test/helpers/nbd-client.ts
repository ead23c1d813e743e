/** A client of NBD servers for tests: any bytes at any time, answers in the order in which they come. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  CLIENT_FLAGS,
  type NbdRequestFields,
  nbdContextRequest,
  nbdInfoRequest,
  nbdOption,
  nbdRequest,
} from './nbd-bytes.ts';

export type NbdPlace = { readonly path: string } | { readonly port: number };

/** An answer with all its chunks. */
export interface NbdAnswer {
  readonly cookie: bigint;
  readonly error: number;
  readonly message: string;
  /** Where it failed, if that was told. */
  readonly errorOffset?: number;
  /** Of a read: what came, in the order of offsets; zeros where holes are. */
  readonly data: Buffer;
  /** Chunks by type and length, for example `data 512` or `hole 4096`. */
  readonly chunks: readonly string[];
  /** Of a status: `[length, flags]` of each stretch. */
  readonly stretches: readonly (readonly [number, number])[];
}

const SIMPLE = 0x67446698;

export class NbdClient {
  readonly socket: Socket;
  #parts: Buffer[] = [];
  #length = 0;
  #isEnded = false;
  #wake: () => void = () => {};
  #nextCookie = 1n;
  readonly #expected = new Map<bigint, number>();
  readonly #answers = new Map<bigint, NbdAnswer>();
  #reading: Promise<void> | undefined;

  constructor(place: NbdPlace) {
    this.socket = connect({ ...place, allowHalfOpen: false });
    this.socket.on('data', (bytes: Buffer) => {
      this.#parts.push(bytes);
      this.#length += bytes.length;
      this.#wake();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.#isEnded = true;
      this.#wake();
    });
  }

  /** Connected and through with the negotiation. */
  static async open(place: NbdPlace, { isStructured = true, name = '' } = {}): Promise<NbdClient> {
    const client = new NbdClient(place);
    const meta = nbdOption(10, nbdContextRequest(name, ['base:allocation']));
    client.send(CLIENT_FLAGS, ...(isStructured ? [nbdOption(8), meta] : []));
    client.send(nbdOption(7, nbdInfoRequest(name)));
    await client.take(18);
    for (;;) {
      const head = await client.take(20);
      await client.take(head.readUInt32BE(16));
      if (head.readUInt32BE(12) > 0x8000_0000) throw new Error('refused');
      if (head.readUInt32BE(8) === 7 && head.readUInt32BE(12) === 1) return client;
    }
  }

  send(...parts: readonly Uint8Array[]): void {
    for (const part of parts) this.socket.write(part);
  }

  /** The next bytes. @throws Error if the connection ends before */
  async take(length: number): Promise<Buffer> {
    while (this.#length < length) {
      if (this.#isEnded) throw new Error('connection closed');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if ((this.#parts[0]?.length ?? 0) < length) this.#parts = [Buffer.concat(this.#parts)];
    const [first = NONE] = this.#parts;
    this.#parts[0] = first.subarray(length);
    this.#length -= length;
    return first.subarray(0, length);
  }

  /** Sends a request. @returns the name of its answer */
  ask(fields: Omit<NbdRequestFields, 'cookie'>): bigint {
    const cookie = this.#nextCookie++;
    this.#expected.set(cookie, fields.command === 0 ? (fields.length ?? 0) : 0);
    this.send(nbdRequest({ ...fields, cookie }));
    return cookie;
  }

  /** The answer of that name, whenever it comes. */
  async answer(cookie: bigint): Promise<NbdAnswer> {
    for (;;) {
      const found = this.#answers.get(cookie);
      if (found !== undefined) {
        this.#answers.delete(cookie);
        return found;
      }
      this.#reading ??= this.#readAnswer().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    }
  }

  request(fields: Omit<NbdRequestFields, 'cookie'>): Promise<NbdAnswer> {
    return this.answer(this.ask(fields));
  }

  read(offset: number, length: number, flags = 0): Promise<NbdAnswer> {
    return this.request({ command: 0, offset, length, flags });
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    if (!this.#isEnded) await once(this.socket, 'close');
  }

  destroy(): void {
    this.socket.destroy();
  }

  readonly #partial = new Map<bigint, Partial>();

  /** Reads until one more answer is complete. */
  async #readAnswer(): Promise<void> {
    for (;;) {
      const magic = (await this.take(4)).readUInt32BE();
      if (magic === SIMPLE) {
        const head = await this.take(12);
        const cookie = head.readBigUInt64BE(4);
        const error = head.readUInt32BE(0);
        const data = error === 0 ? await this.take(this.#expected.get(cookie) ?? 0) : NONE;
        this.#answers.set(cookie, { ...EMPTY, cookie, error, data: Buffer.from(data) });
        return;
      }
      const head = await this.take(16);
      const cookie = head.readBigUInt64BE(4);
      const payload = Buffer.from(await this.take(head.readUInt32BE(12)));
      const partial = this.#partial.get(cookie) ?? newPartial();
      this.#partial.set(cookie, partial);
      takeChunk(partial, head.readUInt16BE(2), payload);
      if (head.readUInt16BE(0) !== 1) continue;
      this.#partial.delete(cookie);
      partial.parts.sort((a, b) => a.offset - b.offset);
      const data = Buffer.concat(partial.parts.map(({ bytes }) => bytes));
      this.#answers.set(cookie, { ...EMPTY, ...partial, cookie, data });
      return;
    }
  }
}

const NONE = Buffer.alloc(0);
const EMPTY = { error: 0, message: '', chunks: [], stretches: [] } as const;

interface Partial {
  error: number;
  message: string;
  errorOffset?: number;
  readonly parts: { readonly offset: number; readonly bytes: Buffer }[];
  readonly chunks: string[];
  readonly stretches: (readonly [number, number])[];
}

function newPartial(): Partial {
  return { error: 0, message: '', parts: [], chunks: [], stretches: [] };
}

function takeChunk(partial: Partial, type: number, payload: Buffer): void {
  if (type === 0) partial.chunks.push('none');
  if (type === 1) {
    const bytes = payload.subarray(8);
    partial.parts.push({ offset: Number(payload.readBigUInt64BE()), bytes });
    partial.chunks.push(`data ${bytes.length}`);
  }
  if (type === 2) {
    const length = payload.readUInt32BE(8);
    partial.parts.push({ offset: Number(payload.readBigUInt64BE()), bytes: Buffer.alloc(length) });
    partial.chunks.push(`hole ${length}`);
  }
  if (type === 5) {
    for (let at = 4; at < payload.length; at += 8) {
      partial.stretches.push([payload.readUInt32BE(at), payload.readUInt32BE(at + 4)]);
    }
  }
  if (type > 0x8000) {
    const length = payload.readUInt16BE(4);
    partial.error = payload.readUInt32BE(0);
    partial.message = payload.subarray(6, 6 + length).toString();
    partial.chunks.push('error');
    if (type === 0x8002) partial.errorOffset = Number(payload.readBigUInt64BE(6 + length));
  }
}
