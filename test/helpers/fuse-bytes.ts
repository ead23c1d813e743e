/** Requests as a kernel writes them, field by field, for tests of the FUSE protocol and its server. */

/** A field: its size in bytes and its value. */
type Field = readonly [size: 2 | 4 | 8, value: number | bigint] | Uint8Array;

export function u16(value: number): Field {
  return [2, value];
}

export function u32(value: number): Field {
  return [4, value];
}

export function u64(value: number | bigint): Field {
  return [8, value];
}

/** The characters, one byte each. */
export function text(characters: string): Uint8Array {
  return Buffer.from(characters, 'latin1');
}

export function fields(...parts: readonly Field[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => {
      if (part instanceof Uint8Array) return part;
      const [size, value] = part;
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
      return bytes.subarray(0, size);
    }),
  );
}

export interface RequestHeader {
  readonly opcode: number;
  readonly unique?: number | bigint;
  readonly inode?: number | bigint;
}

/** A whole request: header of 40 bytes, then the body. */
export function request(
  { opcode, unique = 2, inode = 1 }: RequestHeader,
  ...body: readonly Field[]
): Uint8Array {
  const bytes = fields(...body);
  return fields(
    ...[u32(40 + bytes.length), u32(opcode), u64(unique), u64(inode)],
    // uid, gid, pid, lengths of extensions.
    ...[u32(1000), u32(1000), u32(4711), u16(0), u16(0)],
    bytes,
  );
}

/** INIT as Linux 6.18 sends it. */
export function initRequest(
  { major = 7, minor = 45, flags = 0x73ff_fffb, unique = 2n as bigint | number } = {},
  ...more: readonly Field[]
): Uint8Array {
  return request(
    { opcode: 26, unique, inode: 0 },
    ...[u32(major), u32(minor), u32(131072), u32(flags), u32(0), new Uint8Array(44)],
    ...more,
  );
}

/** READ, READDIR and READDIRPLUS. */
export function readRequest(
  header: RequestHeader,
  offset: number | bigint,
  size: number,
): Uint8Array {
  return request(header, ...[u64(0), u64(offset), u32(size), u32(0), u64(0), u32(0x8000), u32(0)]);
}
