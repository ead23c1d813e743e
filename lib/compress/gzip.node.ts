/** gzip by node:zlib, with the header that the reference writes (spec/formats/castr.md, "Chunk file"). */
import * as zlib from 'node:zlib';
import { readU32 } from '../../formats/bytes.ts';
import { FormatError, LimitExceeded } from '../../formats/errors.ts';
import type { Codec } from '../../store/transforms.ts';
import { plainArray, plainResult } from './plain-array.ts';

const LEVEL = 6;
const FIXED_HEADER_LENGTH = 10;
const TRAILER_LENGTH = 8;
const EXTRA_FLAGS_OFFSET = 8;
const OPERATING_SYSTEM_OFFSET = 9;
const UNIX = 3;
const HAS_HEADER_CHECKSUM = 0x02;
const HAS_EXTRA_FIELD = 0x04;
const HAS_NAME = 0x08;
const HAS_COMMENT = 0x10;
const RESERVED_FLAGS = 0xe0;

/** The result of node:zlib with the option `info`, which the types of Node do not describe. */
interface InflateResult {
  readonly buffer: Uint8Array;
  readonly engine: { readonly bytesWritten: number };
}

export function createGzipCodec(): Codec {
  return {
    name: 'gzip',
    compress(plain) {
      const stored = zlib.gzipSync(plain, { level: LEVEL });
      stored[EXTRA_FLAGS_OFFSET] = 0;
      stored[OPERATING_SYSTEM_OFFSET] = UNIX;
      return plainArray(stored);
    },
    decompress,
  };
}

/** Header and trailer are read here, because node:zlib hides what lies behind the first member. */
function decompress(stored: Uint8Array, ceiling: number, output?: Uint8Array): Uint8Array {
  const start = headerLength(stored);
  const { buffer: plain, engine } = inflate(stored.subarray(start), ceiling);
  const end = start + engine.bytesWritten;
  if (stored.length < end + TRAILER_LENGTH) throw damaged(stored.length, 'data ends early');
  if (stored.length > end + TRAILER_LENGTH) throw damaged(end + TRAILER_LENGTH, 'end expected');
  if (readU32(stored, end) !== zlib.crc32(plain)) throw damaged(end, 'checksum differs');
  if (readU32(stored, end + 4) !== plain.length >>> 0) throw damaged(end + 4, 'length differs');
  return plainResult(plain, ceiling, output);
}

function inflate(deflated: Uint8Array, ceiling: number): InflateResult {
  try {
    const options = { info: true, maxOutputLength: Math.max(1, ceiling) };
    const result = zlib.inflateRawSync(deflated, options) as unknown as InflateResult;
    if (result.buffer.length <= ceiling) return result;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') {
      throw damaged(FIXED_HEADER_LENGTH, 'decodable data expected');
    }
  }
  throw new LimitExceeded({ step: 'decompress', reason: `more than ${ceiling} bytes` });
}

function headerLength(stored: Uint8Array): number {
  if (stored.length < FIXED_HEADER_LENGTH) throw damaged(stored.length, 'data ends early');
  if (stored[0] !== 0x1f || stored[1] !== 0x8b || stored[2] !== 8)
    throw damaged(0, 'magic expected');
  const flags = stored[3];
  if ((flags & RESERVED_FLAGS) !== 0) throw damaged(3, 'reserved flag is set');
  let end = FIXED_HEADER_LENGTH;
  if ((flags & HAS_EXTRA_FIELD) !== 0) end += 2 + (stored[end] | (stored[end + 1] << 8));
  if ((flags & HAS_NAME) !== 0) end = behindZero(stored, end);
  if ((flags & HAS_COMMENT) !== 0) end = behindZero(stored, end);
  if ((flags & HAS_HEADER_CHECKSUM) !== 0) end += 2;
  if (end > stored.length) throw damaged(stored.length, 'data ends early');
  return end;
}

function behindZero(stored: Uint8Array, offset: number): number {
  const zero = stored.indexOf(0, offset);
  return zero < 0 ? stored.length + 1 : zero + 1;
}

function damaged(offset: number, expectation: string): FormatError {
  return new FormatError('gzip', 'member', offset, expectation);
}
