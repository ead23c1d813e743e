/** Contents of frames, compressed where that pays, and back. */
import { FormatError } from '../../../formats/errors.ts';
import type { Frame } from '../../../formats/session-frames.ts';
import { type Codec, compressedRoom } from '../../../store/transforms.ts';
import type { BytePool } from './byte-pool.ts';

/** Shorter ones gain nothing. */
const SHORTEST_COMPRESSED = 512;

export interface FramePacking {
  readonly codec: Codec;
  /** Whether what is sent is compressed; what comes may be in any case. */
  readonly compresses: boolean;
}

export class FramePacker {
  readonly #pool: BytePool;
  readonly #packing: FramePacking;

  /** @param pool gives memory for results, and gets back what is not needed any more */
  constructor(pool: BytePool, packing: FramePacking) {
    this.#pool = pool;
    this.#packing = packing;
  }

  /** @param isLent whether the content is memory of the pool, which it then belongs to again */
  async packed(kind: number, content: Uint8Array, isLent: boolean): Promise<Frame> {
    const { codec, compresses } = this.#packing;
    if (!compresses || content.length < SHORTEST_COMPRESSED) return { kind, content };
    const room = this.#pool.take(compressedRoom(content.length));
    const compressed = await codec.compress(content, room);
    if (compressed.buffer !== room.buffer) this.#pool.give(room);
    if (compressed.length >= content.length) {
      this.#pool.give(compressed);
      return { kind, content };
    }
    if (isLent) this.#pool.give(content);
    return { kind, content: compressed, plainLength: content.length };
  }

  /** @throws FormatError */
  async plain({ content, plainLength }: Frame): Promise<Uint8Array> {
    if (plainLength === undefined) return content;
    const room = this.#pool.take(plainLength);
    const plain = await this.#packing.codec.decompress(content, plainLength, room);
    this.#pool.give(content);
    if (plain.length === plainLength) return plain;
    throw new FormatError('session', 'FRAME', 0, 'the length of what was compressed is wrong');
  }
}
