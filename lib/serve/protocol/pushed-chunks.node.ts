/**
 * The chunks that a client of the casync protocol pushes: which of them are asked for, and how those
 * that come get into the store. Used by push.node.ts.
 */
import { CHUNK_ID_LENGTH, type ChunkId, writeChunkId } from '../../../formats/chunk-id.ts';
import type { Message } from '../../../formats/remote-protocol.ts';
import { ChunkMissing } from '../../../store/errors.ts';
import { Scratch } from '../../../store/scratch.ts';
import type { StoredChunkStore } from '../../../store/stored-chunk.ts';
import type { ChunkTranscoder } from '../../../store/transcoder.ts';
import { compressedRoom } from '../../../store/transforms.ts';
import { PipelineError } from '../../errors.ts';
import { ChunkIdSet } from '../../maintain/chunk-id-set.ts';
import { BoundedTasks } from './bounded-tasks.ts';
import { Condition } from './condition.ts';
import type { NamedChunk } from './index-arrival.ts';

/** Chunks that have been asked for and have not come, at most. */
const MAX_REQUESTED = 4096;
/** Chunks that are looked for, and that are put, at a time: some stores are far away. */
const MAX_LOOKUPS = 64;
const MAX_PUTS = 32;
/** Bytes of chunks that are being put, about. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

export type SentChunk = Extract<Message, { readonly kind: 'chunk' }>;

export interface PushedChunksOptions {
  /** Gets what comes. */
  readonly store: StoredChunkStore;
  /** What these have need not come. */
  readonly others: readonly Pick<StoredChunkStore, 'has'>[];
  /** Knows the digest when the first chunk comes. */
  readonly transcoder: () => ChunkTranscoder;
  /** Asks the client for chunks. */
  readonly request: (ids: readonly ChunkId[]) => Promise<void>;
}

export class PushedChunks {
  readonly #options: PushedChunksOptions;
  /** Sizes of the chunks that have been asked for. */
  readonly #requested = new Map<ChunkId, number>();
  /** What has come without being asked for. */
  readonly #early = new ChunkIdSet();
  readonly #state = new Condition();
  readonly #lookups = new BoundedTasks(MAX_LOOKUPS, this.#state);
  readonly #puts = new BoundedTasks(MAX_PUTS, this.#state);
  readonly #scratch = new Scratch();
  /** To be asked for with the next message. */
  #batch: ChunkId[] = [];
  #heldBytes = 0;
  #hasEnded = false;

  constructor(options: PushedChunksOptions) {
    this.#options = options;
  }

  /**
   * Asks for the chunk if no store has it. Resolves when the next one may be named.
   * @throws what earlier lookups and requests threw
   */
  async want(chunk: NamedChunk): Promise<void> {
    await this.#state.until(() => this.#requested.size < MAX_REQUESTED);
    await this.#lookups.start(async () => {
      if (!(await this.#isThere(chunk.id))) await this.#ask(chunk);
    });
  }

  /** Resolves when everything that was wanted has come. @throws what looking and asking threw */
  async complete(): Promise<void> {
    await this.#lookups.finish();
    await this.#state.until(() => this.#requested.size === 0);
  }

  /**
   * Takes a chunk, also one that nobody has asked for yet; its bytes may be reused afterwards.
   * @throws ChunkDamaged if it is not what its name says; what earlier puts threw
   */
  async accept(chunk: SentChunk): Promise<void> {
    const { id } = chunk;
    await this.#take(chunk, this.#requested.get(id));
    if (!this.#requested.delete(id)) this.#early.add(bytesOf(id));
    this.#state.wake();
  }

  /** The client has not got a chunk. @throws ChunkMissing: without it there is no index */
  refuse(id: ChunkId): void {
    if (!this.#requested.has(id)) return;
    const reason = 'the index names it, but the sender does not have it';
    throw new ChunkMissing({ subject: nameOf(id), reason });
  }

  /** Everything that was taken is durable and visible. @throws StorageError */
  async flush(): Promise<void> {
    await this.#puts.finish();
    await this.#options.store.flush();
  }

  /** Makes the best of what was taken before a failure: whoever tries again need not send it again. */
  async flushRest(): Promise<void> {
    await Promise.all([this.#lookups.settle(), this.#puts.settle()]);
    await this.#options.store.flush().catch(() => {});
  }

  /** The client sends nothing more: what lacks now will not come. */
  end(): void {
    this.#hasEnded = true;
    const [lacking] = this.#requested.keys();
    if (lacking !== undefined) this.fail(hasEnded(lacking));
  }

  /** Ends all waiting. */
  fail(error: unknown): void {
    this.#state.fail(error);
  }

  async #isThere(id: ChunkId): Promise<boolean> {
    if (this.#early.has(bytesOf(id))) return true;
    for (const store of [this.#options.store, ...this.#options.others]) {
      if (await store.has(id)) return true;
    }
    return false;
  }

  /** What is found lacking in one turn of the event loop is asked for with one message. */
  async #ask({ id, size }: NamedChunk): Promise<void> {
    if (this.#hasEnded) throw hasEnded(id);
    this.#requested.set(id, size);
    this.#batch.push(id);
    if (this.#batch.length > 1) return;
    await new Promise((resolve) => setImmediate(resolve));
    const ids = this.#batch;
    this.#batch = [];
    await this.#options.request(ids);
  }

  async #take(chunk: SentChunk, expectedSize: number | undefined): Promise<void> {
    const subject = nameOf(chunk.id);
    const into = this.#scratch.take(expectedSize ?? 0);
    try {
      const plain = await this.#options.transcoder().decode(chunk.id, chunk, {
        subject,
        ...(expectedSize !== undefined && { expectedSize, into }),
      });
      const stored = chunk.isPlain ? await this.#encoded(plain, subject) : chunk.bytes.slice();
      await this.#state.until(() => this.#heldBytes < MAX_HELD_BYTES);
      await this.#put(chunk.id, stored);
    } finally {
      this.#scratch.release(into);
    }
  }

  async #encoded(plain: Uint8Array, subject: string): Promise<Uint8Array> {
    const into = new Uint8Array(compressedRoom(plain.length));
    const proof = this.#scratch.take(plain.length);
    try {
      return await this.#options.transcoder().encode(plain, { subject, into, proof });
    } finally {
      this.#scratch.release(proof);
    }
  }

  #put(id: ChunkId, stored: Uint8Array): Promise<void> {
    this.#heldBytes += stored.length;
    return this.#puts.start(async () => {
      try {
        await this.#options.store.putStored(id, stored);
      } finally {
        this.#heldBytes -= stored.length;
      }
    });
  }
}

function hasEnded(lacking: ChunkId): PipelineError {
  const reason = 'the sender ended before it came';
  return new PipelineError('UNAVAILABLE', { subject: nameOf(lacking), reason });
}

function nameOf(id: ChunkId): string {
  return `chunk ${id}`;
}

function bytesOf(id: ChunkId): Uint8Array {
  const bytes = new Uint8Array(CHUNK_ID_LENGTH);
  writeChunkId(id, bytes, 0);
  return bytes;
}
