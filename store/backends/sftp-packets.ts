/**
 * Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02): bytes and numbers only. Names and texts are
 * bytes; here they are strings with one character for each byte. Used by the SFTP client.
 */
import { FormatError } from '../../formats/errors.ts';

export const PACKET = {
  INIT: 1,
  VERSION: 2,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  STAT: 17,
  RENAME: 18,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
  EXTENDED: 200,
  EXTENDED_REPLY: 201,
} as const;

/** Codes of a STATUS packet. Those above 8 are of later versions; some servers send them all the same. */
export const STATUS = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  NO_CONNECTION: 6,
  CONNECTION_LOST: 7,
  FILE_ALREADY_EXISTS: 11,
  WRITE_PROTECT: 12,
  NO_SPACE_ON_FILESYSTEM: 14,
  QUOTA_EXCEEDED: 15,
} as const;

/** Bits of the flags of an OPEN packet. */
export const OPEN_FLAG = { READ: 0x01, WRITE: 0x02, CREATE: 0x08, EXCLUSIVE: 0x20 } as const;

/** Bits that say which attributes follow. */
const ATTRIBUTE = {
  SIZE: 0x00000001,
  OWNER: 0x00000002,
  PERMISSIONS: 0x00000004,
  TIMES: 0x00000008,
  EXTENDED: 0x80000000,
} as const;

const FILE_TYPE = 0o170000;
const FILE_TYPES: ReadonlyMap<number, FileType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'folder'],
  [0o120000, 'link'],
]);

export type FileType = 'file' | 'folder' | 'link' | 'other';

/** What a server says about a file. What it leaves out is taken for an ordinary file's. */
export interface FileAttributes {
  readonly type: FileType;
  /** Bytes. */
  readonly size: number;
  readonly modified: Date;
}

/** A number is 32 bits wide, a bigint 64; strings and bytes are preceded by their length. */
export type Field = number | bigint | string | Uint8Array;

/** Attributes that say nothing. */
export const NO_ATTRIBUTES: readonly Field[] = [0];

/** Attributes that say what a new file or folder's permission bits are. */
export function permissionAttributes(mode: number): readonly Field[] {
  return [ATTRIBUTE.PERMISSIONS, mode];
}

function fieldLength(field: Field): number {
  if (typeof field === 'number') return 4;
  return typeof field === 'bigint' ? 8 : 4 + field.length;
}

/**
 * A packet with its length in front.
 * @param id undefined for INIT, which has none
 * @param trailing bytes of a last field that the caller sends behind the packet; its length is put in
 */
export function encodePacket(
  type: number,
  id: number | undefined,
  fields: readonly Field[],
  trailing?: number,
): Uint8Array {
  let length = 5 + (id === undefined ? 0 : 4) + (trailing === undefined ? 0 : 4);
  for (const field of fields) length += fieldLength(field);
  const packet = new Uint8Array(length);
  const view = new DataView(packet.buffer);
  view.setUint32(0, length - 4 + (trailing ?? 0));
  view.setUint8(4, type);
  let offset = 5;
  for (const field of id === undefined ? fields : [id, ...fields]) {
    if (typeof field === 'bigint') view.setBigUint64(offset, field);
    else if (typeof field === 'number') view.setUint32(offset, field);
    else {
      view.setUint32(offset, field.length);
      if (typeof field === 'string') putText(packet, offset + 4, field);
      else packet.set(field, offset + 4);
    }
    offset += fieldLength(field);
  }
  if (trailing !== undefined) view.setUint32(offset, trailing);
  return packet;
}

function putText(packet: Uint8Array, offset: number, text: string): void {
  for (let i = 0; i < text.length; i++) packet[offset + i] = text.charCodeAt(i);
}

/** The fields of a packet that was received, taken one after the other. */
export class PacketFields {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #record: string;
  #offset = 0;

  /** @param record name of the packet, for messages */
  constructor(bytes: Uint8Array, record: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#record = record;
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** @throws FormatError */
  takeUint32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  /** Numbers beyond what a file can have become infinite. @throws FormatError */
  takeUint64(): number {
    const value = this.#view.getBigUint64(this.#take(8));
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(value);
  }

  /** A view. @throws FormatError */
  takeBytes(): Uint8Array {
    const length = this.takeUint32();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** One character for each byte. @throws FormatError */
  takeText(): string {
    return byteText(this.takeBytes());
  }

  /** @throws FormatError */
  takeAttributes(): FileAttributes {
    const flags = this.takeUint32();
    const size = flags & ATTRIBUTE.SIZE ? this.takeUint64() : 0;
    if (flags & ATTRIBUTE.OWNER) this.#take(8);
    const mode = flags & ATTRIBUTE.PERMISSIONS ? this.takeUint32() : 0o100000;
    let modified = 0;
    if (flags & ATTRIBUTE.TIMES) {
      this.#take(4);
      modified = this.takeUint32();
    }
    if (flags & ATTRIBUTE.EXTENDED) {
      for (let left = this.takeUint32(); left > 0; left--) {
        this.takeBytes();
        this.takeBytes();
      }
    }
    const type = FILE_TYPES.get(mode & FILE_TYPE) ?? 'other';
    return { type, size, modified: new Date(modified * 1000) };
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length > this.#bytes.length - start) {
      throw new FormatError('SFTP', this.#record, start, `packet ends within a field`);
    }
    this.#offset = start + length;
    return start;
  }
}

/** One character for each byte. */
function byteText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
