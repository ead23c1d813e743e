/**
 * The outer shape of an .xz stream (The .xz File Format, sections 2 and 4): checks that the bytes are
 * exactly one stream and says how many plain bytes it holds, from the index at its end. All xz
 * decoders of ours ask here first; decoding then proves the claim.
 */
import { equalBytes, readU32 } from '../../formats/bytes.ts';
import { FormatError, LimitExceeded } from '../../formats/errors.ts';

const HEADER_MAGIC = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00);
const FOOTER_MAGIC = Uint8Array.of(0x59, 0x5a);
/** Length of the stream header and of the stream footer. */
const FRAME_LENGTH = 12;
const FLAGS_OFFSET = 6;
const FLAGS_LENGTH = 2;
const MIN_INDEX_LENGTH = 8;
const MAX_VARINT_LENGTH = 9;

interface Cursor {
  readonly bytes: Uint8Array;
  readonly end: number;
  offset: number;
}

function damaged(record: string, offset: number, expectation: string): FormatError {
  return new FormatError('xz', record, offset, expectation);
}

function readVarint(cursor: Cursor): number {
  let value = 0;
  for (let i = 0; i < MAX_VARINT_LENGTH && cursor.offset < cursor.end; i++) {
    const byte = cursor.bytes[cursor.offset++];
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw damaged('index', cursor.offset, 'number expected');
}

/** Where the index lies, from the footer. */
function findIndex(stored: Uint8Array): Cursor {
  const { length } = stored;
  const footer = length - FRAME_LENGTH;
  const minLength = 2 * FRAME_LENGTH + MIN_INDEX_LENGTH;
  if (!equalBytes(stored.subarray(0, HEADER_MAGIC.length), HEADER_MAGIC)) {
    throw damaged('header', 0, 'magic number expected');
  }
  if (length < minLength || !equalBytes(stored.subarray(length - 2), FOOTER_MAGIC)) {
    throw damaged('footer', length, 'end of stream expected');
  }
  const headerFlags = stored.subarray(FLAGS_OFFSET, FLAGS_OFFSET + FLAGS_LENGTH);
  if (!equalBytes(stored.subarray(footer + 8, footer + 10), headerFlags)) {
    throw damaged('footer', footer + 8, 'flags differ from those of the header');
  }
  const indexLength = (readU32(stored, footer + 4) + 1) * 4;
  const offset = footer - indexLength;
  if (offset < FRAME_LENGTH || stored[offset] !== 0)
    throw damaged('index', footer, 'index expected');
  return { bytes: stored, end: footer, offset: offset + 1 };
}

/**
 * Number of plain bytes in the stream, as it says.
 * @throws LimitExceeded if that is more than `ceiling`; FormatError where `stored` is not exactly one
 * stream
 */
export function xzPlainSize(stored: Uint8Array, ceiling: number): number {
  const cursor = findIndex(stored);
  const indexOffset = cursor.offset - 1;
  const count = readVarint(cursor);
  let plainSize = 0;
  let blocksLength = 0;
  for (let i = 0; i < count; i++) {
    blocksLength += Math.ceil(readVarint(cursor) / 4) * 4;
    plainSize += readVarint(cursor);
  }
  if (blocksLength !== indexOffset - FRAME_LENGTH) {
    throw damaged('index', indexOffset, 'sizes differ from those of the blocks');
  }
  if (plainSize <= ceiling) return plainSize;
  throw new LimitExceeded({ step: 'decompress', reason: `more than ${ceiling} bytes` });
}
