/**
 * What is said in an NBD negotiation, byte by byte: data of options, and answers to them (spec/nbd.md,
 * "Protocol"). The order of things is in nbd-negotiation.ts.
 */
import { readU16Be, readU32Be, writeSizeBe, writeU16Be, writeU32Be } from './big-endian.ts';
import { asciiBytes, concatBytes } from './bytes.ts';
import {
  NBD_EXPORT_FLAG,
  NBD_INFO,
  NBD_LIMIT,
  NBD_MAGIC,
  NBD_OPTION_REPLY,
} from './nbd-constants.ts';

/** What clients are told of the one export of a server. */
export interface NbdExport {
  /** UTF-8. Clients that name none get this one, too. */
  readonly name: Uint8Array;
  /** For human eyes, UTF-8. */
  readonly description: Uint8Array;
  /** Bytes. */
  readonly size: number;
  readonly isWritable: boolean;
}

/** What a client wants to know of an export, or wants to have. */
export interface NbdExportRequest {
  readonly name: Uint8Array;
  readonly infos: readonly number[];
}

/** Contexts of which a client speaks. */
export interface NbdContextRequest {
  readonly name: Uint8Array;
  readonly queries: readonly Uint8Array[];
}

const MINIMUM_BLOCK = 1;
const PREFERRED_BLOCK = 65_536;
const REPLY_HEADER_SIZE = 20;
const OLD_EXPORT_SIZE = 10;
/** Zeros behind the answer to the oldest option. */
const OLD_PADDING_SIZE = 124;

/** What an export can, without what depends on the negotiation. */
export function nbdExportFlags({ isWritable }: Pick<NbdExport, 'isWritable'>): number {
  const flag = NBD_EXPORT_FLAG;
  const always = flag.hasFlags | flag.sendFlush | flag.sendFua | flag.canMultiConn | flag.sendCache;
  if (!isWritable) return always | flag.readOnly;
  return always | flag.sendTrim | flag.sendWriteZeroes | flag.sendFastZero;
}

/** The first bytes of a server. @param flags of `NBD_HANDSHAKE_FLAG` */
export function encodeNbdGreeting(flags: number): Uint8Array {
  const end = new Uint8Array(2);
  writeU16Be(end, 0, flags);
  return concatBytes([asciiBytes(NBD_MAGIC.init + NBD_MAGIC.option), end]);
}

/** An answer to an option. @param type of `NBD_OPTION_REPLY` */
export function encodeNbdOptionReply(
  option: number,
  type: number,
  data: Uint8Array = new Uint8Array(),
): Uint8Array {
  const bytes = new Uint8Array(REPLY_HEADER_SIZE + data.length);
  writeU32Be(bytes, 0, NBD_MAGIC.optionReplyHigh);
  writeU32Be(bytes, 4, NBD_MAGIC.optionReplyLow);
  writeU32Be(bytes, 8, option);
  writeU32Be(bytes, 12, type);
  writeU32Be(bytes, 16, data.length);
  bytes.set(data, REPLY_HEADER_SIZE);
  return bytes;
}

/** The answer to the oldest option, which has no header. */
export function encodeNbdOldExport(size: number, flags: number, hasPadding: boolean): Uint8Array {
  const bytes = new Uint8Array(OLD_EXPORT_SIZE + (hasPadding ? OLD_PADDING_SIZE : 0));
  writeSizeBe(bytes, 0, size);
  writeU16Be(bytes, 8, flags);
  return bytes;
}

/** An export in a list of exports: data of the answer `server`. */
export function encodeNbdListedExport({ name, description }: NbdExport): Uint8Array {
  return concatBytes([u32(name.length), name, description]);
}

/** A context: data of the answer `metaContext`. */
export function encodeNbdContext(id: number, name: Uint8Array): Uint8Array {
  return concatBytes([u32(id), name]);
}

/** What is told of an export: data of answers `info`. @param wanted by the client */
export function encodeNbdInfos(
  described: NbdExport,
  flags: number,
  wanted: readonly number[],
): readonly Uint8Array[] {
  const main = new Uint8Array(12);
  writeU16Be(main, 0, NBD_INFO.export);
  writeSizeBe(main, 2, described.size);
  writeU16Be(main, 10, flags);
  const infos = [main, encodeBlockSizes()];
  for (const [info, text] of [
    [NBD_INFO.name, described.name],
    [NBD_INFO.description, described.description],
  ] as const) {
    if (!wanted.includes(info)) continue;
    const bytes = new Uint8Array(2 + text.length);
    writeU16Be(bytes, 0, info);
    bytes.set(text, 2);
    infos.push(bytes);
  }
  return infos;
}

function encodeBlockSizes(): Uint8Array {
  const bytes = new Uint8Array(14);
  writeU16Be(bytes, 0, NBD_INFO.blockSize);
  writeU32Be(bytes, 2, MINIMUM_BLOCK);
  writeU32Be(bytes, 6, PREFERRED_BLOCK);
  writeU32Be(bytes, 10, NBD_LIMIT.payloadBytes);
  return bytes;
}

/** A refusal whose reason is an answer of its own: for syntax that is broken or too much. */
export type NbdRefusal = typeof NBD_OPTION_REPLY.invalid | typeof NBD_OPTION_REPLY.tooBig;

/** Data of the options `info` and `go`. */
export function decodeNbdExportRequest(data: Uint8Array): NbdExportRequest | NbdRefusal {
  const name = stringAt(data, 0);
  if (typeof name === 'number') return name;
  const countAt = 4 + name.length;
  if (countAt + 2 > data.length) return NBD_OPTION_REPLY.invalid;
  const count = readU16Be(data, countAt);
  if (countAt + 2 + 2 * count !== data.length) return NBD_OPTION_REPLY.invalid;
  const infos = Array.from({ length: count }, (_, i) => readU16Be(data, countAt + 2 + 2 * i));
  return { name, infos };
}

/** Data of the options about contexts. */
export function decodeNbdContextRequest(data: Uint8Array): NbdContextRequest | NbdRefusal {
  const name = stringAt(data, 0);
  if (typeof name === 'number') return name;
  let offset = 4 + name.length;
  if (offset + 4 > data.length) return NBD_OPTION_REPLY.invalid;
  const count = readU32Be(data, offset);
  offset += 4;
  // Each has a length, at least.
  if (count > (data.length - offset) / 4) return NBD_OPTION_REPLY.invalid;
  const queries: Uint8Array[] = [];
  while (queries.length < count) {
    const query = stringAt(data, offset);
    if (typeof query === 'number') return query;
    queries.push(query);
    offset += 4 + query.length;
  }
  return offset === data.length ? { name, queries } : NBD_OPTION_REPLY.invalid;
}

function stringAt(data: Uint8Array, offset: number): Uint8Array | NbdRefusal {
  if (offset + 4 > data.length) return NBD_OPTION_REPLY.invalid;
  const length = readU32Be(data, offset);
  if (length > data.length - offset - 4) return NBD_OPTION_REPLY.invalid;
  if (length > NBD_LIMIT.stringBytes) return NBD_OPTION_REPLY.tooBig;
  return data.subarray(offset + 4, offset + 4 + length);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeU32Be(bytes, 0, value);
  return bytes;
}
