/**
 * The outer shape of a zstd frame (RFC 8878, section 3.1): where it ends and how much it can hold,
 * without decoding it. All zstd decoders of ours ask here first, because they differ in what they say
 * about truncated data, data behind the frame, and frames without a content size.
 */
import { readSize, readU32 } from '../../formats/bytes.ts';
import { FormatError, LimitExceeded } from '../../formats/errors.ts';

const MAGIC = 0xfd2fb528;
const MAX_BLOCK_SIZE = 128 * 1024;
const DICTIONARY_ID_LENGTHS = [0, 1, 2, 4];
const CONTENT_SIZE_LENGTHS = [0, 2, 4, 8];
const CHECKSUM_LENGTH = 4;
const RAW = 0;
const RLE = 1;
const COMPRESSED = 2;

/** What a frame says about the size of its plain bytes. */
interface ZstdFrame {
  /** Present exactly if the frame states it. */
  readonly contentSize?: number;
  /** Plain bytes at least. */
  readonly minSize: number;
  /** Plain bytes at most. */
  readonly maxSize: number;
}

interface FrameHeader {
  readonly contentSize?: number;
  readonly hasChecksum: boolean;
  readonly length: number;
}

function damaged(record: string, offset: number, expectation: string): FormatError {
  return new FormatError('zstd', record, offset, expectation);
}

function readHeader(bytes: Uint8Array): FrameHeader {
  if (bytes.length < 6) throw damaged('frame', bytes.length, 'data ends early');
  if (readU32(bytes, 0) !== MAGIC) throw damaged('frame', 0, 'magic number expected');
  const descriptor = bytes[4];
  if ((descriptor & 0x08) !== 0) throw damaged('frame', 4, 'reserved bit is set');
  const singleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  const dictionaryLength = DICTIONARY_ID_LENGTHS[descriptor & 0x03];
  const sizeLength = CONTENT_SIZE_LENGTHS[descriptor >>> 6] || (singleSegment ? 1 : 0);
  const sizeOffset = 5 + (singleSegment ? 0 : 1) + dictionaryLength;
  const length = sizeOffset + sizeLength;
  if (length > bytes.length) throw damaged('frame', bytes.length, 'data ends early');
  if (sizeLength === 0) return { hasChecksum, length };
  return { hasChecksum, length, contentSize: readContentSize(bytes, sizeOffset, sizeLength) };
}

function readContentSize(bytes: Uint8Array, offset: number, length: number): number {
  if (length === 1) return bytes[offset];
  if (length === 2) return bytes[offset] + (bytes[offset + 1] << 8) + 256;
  return length === 4 ? readU32(bytes, offset) : readSize(bytes, offset);
}

/**
 * Checks that `stored` is exactly one frame as far as this can be seen without decoding.
 * @throws FormatError on truncated and trailing data and on anything that is not a frame
 */
function inspectZstdFrame(stored: Uint8Array): ZstdFrame {
  const { contentSize, hasChecksum, length } = readHeader(stored);
  let minSize = 0;
  let maxSize = 0;
  let offset = length;
  for (let last = false; !last; ) {
    if (offset + 3 > stored.length) throw damaged('block', stored.length, 'data ends early');
    const header = stored[offset] | (stored[offset + 1] << 8) | (stored[offset + 2] << 16);
    last = (header & 1) !== 0;
    const type = (header >>> 1) & 3;
    const size = header >>> 3;
    if (type > COMPRESSED || size > MAX_BLOCK_SIZE) throw damaged('block', offset, 'valid header');
    if (type === RAW || type === RLE) minSize += size;
    maxSize += type === COMPRESSED ? MAX_BLOCK_SIZE : size;
    offset += 3 + (type === RLE ? 1 : size);
  }
  if (hasChecksum) offset += CHECKSUM_LENGTH;
  if (offset > stored.length) throw damaged('frame', stored.length, 'data ends early');
  if (offset < stored.length) throw damaged('frame', offset, 'end of data expected');
  if (contentSize === undefined) return { minSize, maxSize };
  if (contentSize < minSize || contentSize > maxSize) {
    throw damaged('frame', 0, 'content size differs from that of the blocks');
  }
  return { contentSize, minSize: contentSize, maxSize: contentSize };
}

/**
 * Bytes of room that decoding needs: the content size, where the frame states it, or less than it
 * could need, if that is more than `ceiling`.
 * @throws LimitExceeded if more than `ceiling` bytes would certainly come out; FormatError as
 * {@link inspectZstdFrame}
 */
export function zstdCapacity(stored: Uint8Array, ceiling: number): number {
  const { minSize, maxSize } = inspectZstdFrame(stored);
  if (minSize > ceiling) throw tooLarge(ceiling);
  return Math.min(maxSize, ceiling);
}

/** The failure of decoders whose output has no room. */
export function tooLarge(ceiling: number): LimitExceeded {
  return new LimitExceeded({ step: 'decompress', reason: `more than ${ceiling} bytes` });
}
