/** What NBD clients send, byte by byte, written down a second time for tests. */

/** @param parts numbers as `[bits, value]`, texts, or bytes */
export type NbdPart = readonly [8 | 16 | 32 | 64, number | bigint] | string | Uint8Array;

export function nbdBytes(...parts: readonly NbdPart[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'string') return Buffer.from(part);
      if (part instanceof Uint8Array) return part;
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(BigInt(part[1]));
      return bytes.subarray(8 - part[0] / 8);
    }),
  );
}

export const GREETING = nbdBytes('NBDMAGIC', 'IHAVEOPT', [16, 3]);
/** A client that knows the fixed newstyle and wants no zeros. */
export const CLIENT_FLAGS = nbdBytes([32, 3]);

export function nbdOption(option: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return nbdBytes('IHAVEOPT', [32, option], [32, data.length], data);
}

export function nbdOptionReply(
  option: number,
  type: number,
  data: Uint8Array | string = '',
): Buffer {
  const bytes = Buffer.from(data);
  return nbdBytes([64, 0x3e889045565a9n], [32, option], [32, type], [32, bytes.length], bytes);
}

/** Data of the options `info` and `go`. */
export function nbdInfoRequest(name: string, infos: readonly number[] = []): Buffer {
  const bytes = Buffer.from(name);
  return nbdBytes(
    [32, bytes.length],
    bytes,
    [16, infos.length],
    ...infos.map((info) => [16, info] as const),
  );
}

/** Data of the options about contexts. */
export function nbdContextRequest(name: string, queries: readonly string[]): Buffer {
  return nbdBytes(
    [32, name.length],
    name,
    [32, queries.length],
    ...queries.flatMap((query) => [[32, query.length], query] as const),
  );
}

export interface NbdRequestFields {
  readonly command: number;
  readonly flags?: number;
  readonly cookie?: bigint;
  readonly offset?: number | bigint;
  readonly length?: number;
  /** Of a write. */
  readonly data?: Uint8Array;
}

export function nbdRequest(fields: NbdRequestFields): Buffer {
  const { command, flags = 0, cookie = 1n, offset = 0, data = Buffer.alloc(0) } = fields;
  const { length = data.length } = fields;
  return nbdBytes(
    [32, 0x25609513],
    [16, flags],
    [16, command],
    [64, cookie],
    [64, offset],
    [32, length],
    data,
  );
}
