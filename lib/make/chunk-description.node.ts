/**
 * What a chunk of an archive is made of, without reading the contents of files: its inline bytes, and
 * which files stand behind the rest (spec/formats/cache.md, "Description"). Chunks of equal
 * descriptions are equal. Used by the encoder cache.
 */
import { writeU64 } from '../../formats/bytes.ts';
import { CHUNK_ID_LENGTH, writeChunkId } from '../../formats/chunk-id.ts';
import type { Digest } from '../../store/transforms.ts';
import { IDENTITY_LENGTH } from './file-identity.ts';
import type { SpanWindow } from './span-window.node.ts';

/** Position in the chunk, identity, offset in the content, length. */
const RANGE_LENGTH = IDENTITY_LENGTH + 24;
const END_LENGTH = 32;
/** Inline bytes by which the begin of a chunk is recognised. */
export const KEY_LENGTH = 512;

/** Bytes of a description's digest. */
const DESCRIPTION_LENGTH = CHUNK_ID_LENGTH;
/** Bytes of a key. */
const KEY_BYTES = 8;

export class ChunkDescriber {
  readonly #digest: Digest;
  readonly #result = new Uint8Array(DESCRIPTION_LENGTH);
  #inline = new Uint8Array(65536);
  #ranges = new Uint8Array(RANGE_LENGTH * 64);

  /** @param digest SHA-256 */
  constructor(digest: Digest) {
    this.#digest = digest;
  }

  /**
   * Digest of the description of the next `length` bytes of the window, valid until the next call.
   * Whether the archive ends there is part of it, because that ends a chunk, too.
   */
  describe(window: SpanWindow, length: number): Uint8Array {
    let inlineLength = 0;
    let rangesLength = 0;
    let position = 0;
    for (const part of window.parts(length)) {
      if (part instanceof Uint8Array) {
        this.#inline = withRoom(this.#inline, inlineLength + part.length);
        this.#inline.set(part, inlineLength);
        inlineLength += part.length;
      } else {
        this.#ranges = withRoom(this.#ranges, rangesLength + RANGE_LENGTH);
        const ranges = this.#ranges;
        writeU64(ranges, rangesLength, position);
        ranges.set(part.reference.identity, rangesLength + 8);
        writeU64(ranges, rangesLength + 8 + IDENTITY_LENGTH, part.offset);
        writeU64(ranges, rangesLength + 16 + IDENTITY_LENGTH, part.length);
        rangesLength += RANGE_LENGTH;
      }
      position += part.length;
    }
    const end = inlineLength + rangesLength;
    this.#inline = withRoom(this.#inline, end + END_LENGTH);
    const bytes = this.#inline;
    bytes.set(this.#ranges.subarray(0, rangesLength), inlineLength);
    writeU64(bytes, end, inlineLength);
    writeU64(bytes, end + 8, rangesLength / RANGE_LENGTH);
    writeU64(bytes, end + 16, length);
    writeU64(bytes, end + 24, window.isComplete && window.available === length ? 1 : 0);
    return this.#digestOf(end + END_LENGTH);
  }

  /**
   * By what chunks are looked up that begin as the window does: what is inline up to the first content,
   * at most {@link KEY_LENGTH} bytes, which should be known; or the range of a content. Valid until the
   * next call.
   */
  key(window: SpanWindow): Uint8Array {
    let length = 0;
    const bytes = this.#inline;
    for (const part of window.parts(Math.min(KEY_LENGTH, window.available))) {
      if (part instanceof Uint8Array) {
        bytes.set(part, length);
        length += part.length;
        continue;
      }
      bytes.set(part.reference.identity, length);
      writeU64(bytes, length + IDENTITY_LENGTH, part.offset);
      length += IDENTITY_LENGTH + 8;
      break;
    }
    return this.#digestOf(length).subarray(0, KEY_BYTES);
  }

  #digestOf(length: number): Uint8Array {
    writeChunkId(this.#digest.hash(this.#inline.subarray(0, length)), this.#result, 0);
    return this.#result;
  }
}

function withRoom(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  if (bytes.length >= length) return bytes as Uint8Array<ArrayBuffer>;
  const larger = new Uint8Array(Math.max(length, 2 * bytes.length));
  larger.set(bytes);
  return larger;
}
