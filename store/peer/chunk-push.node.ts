/**
 * One push of chunks that belong to no index: an index is made up of them as they come, and the other side
 * asks for those that it lacks. Used by peer-store.node.ts.
 */
import { concatBytes } from '../../formats/bytes.ts';
import type { ChunkId, DigestName } from '../../formats/chunk-id.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { encodeIndexHead, encodeIndexItem, encodeIndexTail } from '../../formats/index-codec.ts';
import { StorageError } from '../errors.ts';
import type { StoredChunk } from '../stored-chunk.ts';
import type { PeerProcessOptions } from './peer-process.node.ts';
import { PushSession } from './push-session.node.ts';
import type { Command } from './ssh-command.node.ts';

export interface ChunkPushOptions extends Omit<PeerProcessOptions, 'flags'> {
  readonly digest: DigestName;
  /** Shared by all pushes of a store. */
  readonly held: HeldBytes;
  readonly signal?: AbortSignal;
}

/** Bytes of chunks that one push may hold back: nobody says which of them are not wanted. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;
/** Bytes over all pushes of a store; who stores more waits. */
const MAX_ALL_HELD_BYTES = 2 * MAX_HELD_BYTES;
/** Chunks of one push. */
const MAX_COUNT = 200_000;

/** How much memory the chunks take that may still be asked for. */
export class HeldBytes {
  #size = 0;
  readonly #waiting: (() => void)[] = [];

  /** Takes memory, when there is enough. @param onFull called when there is none: it may end pushes */
  async room(size: number, onFull: () => void): Promise<void> {
    while (this.#size > 0 && this.#size + size > MAX_ALL_HELD_BYTES) {
      onFull();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#size += size;
  }

  release(size: number): void {
    this.#size -= size;
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

export class ChunkPush {
  readonly #session: PushSession;
  readonly #label: string;
  readonly #held: HeldBytes;
  readonly #chunks = new Map<ChunkId, Uint8Array>();
  #chunksSize = 0;
  /** Of the index: what has not been sent, how long its stream is, how many chunks it has. */
  #items: Uint8Array[];
  #end = 0;
  #count = 0;
  #writing: Promise<void> | undefined;

  constructor(command: Command, { digest, held, ...options }: ChunkPushOptions) {
    this.#held = held;
    this.#label = options.label;
    const featureFlags = digest === 'sha512-256' ? FEATURE.sha512_256 : 0n;
    const max = DEFAULT_DECODE_LIMITS.maxChunkSize;
    this.#items = [encodeIndexHead({ featureFlags, chunkSizes: { min: 1, avg: 65536, max } })];
    this.#session = new PushSession(command, {
      ...options,
      file: 'index',
      getChunk: async (id) => this.#give(id),
      // The index cannot appear, and the other side says so in the end.
      ignoresStatus: true,
      isQuiet: true,
    });
  }

  /** Whether it should be ended. */
  get isFull(): boolean {
    return this.#chunksSize > MAX_HELD_BYTES || this.#count >= MAX_COUNT;
  }

  /** Resolves when the other side is there. @throws StorageError */
  opened(): Promise<void> {
    return this.#session.opened();
  }

  /**
   * @param bytes memory that was taken from the held bytes; belongs to the push from now on
   * Resolves when the other side keeps up. Nothing can be added once the push is being ended.
   */
  add(id: ChunkId, bytes: Uint8Array, plainSize: number): Promise<void> {
    this.#chunks.set(id, bytes);
    this.#chunksSize += bytes.length;
    this.#end += plainSize;
    this.#count++;
    this.#items.push(encodeIndexItem(id, this.#end));
    // Those of one turn of the event loop together.
    this.#writing ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() =>
      this.#write(),
    );
    return this.#writing;
  }

  /** No more chunks come; resolves when the other side has all of them. @throws StorageError */
  async commit(): Promise<void> {
    try {
      await this.#writing;
      this.#items.push(encodeIndexTail(this.#count));
      await this.#write();
      await this.#session.commit();
    } finally {
      this.#releaseAll();
    }
  }

  async discard(): Promise<void> {
    await this.#session.discard();
    this.#releaseAll();
  }

  #write(): Promise<void> {
    const bytes = concatBytes(this.#items);
    this.#items = [];
    this.#writing = undefined;
    return this.#session.write(bytes);
  }

  #give(id: ChunkId): StoredChunk {
    const bytes = this.#chunks.get(id);
    if (bytes === undefined) {
      throw new StorageError('IO', {
        subject: `${this.#label}: chunk ${id}`,
        reason: 'The other side asks for a chunk that it was not told of, or twice',
      });
    }
    this.#chunks.delete(id);
    this.#chunksSize -= bytes.length;
    this.#held.release(bytes.length);
    return { bytes, isPlain: false };
  }

  #releaseAll(): void {
    this.#chunks.clear();
    this.#held.release(this.#chunksSize);
    this.#chunksSize = 0;
  }
}
