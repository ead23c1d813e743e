/**
 * One conversation in which the other side stores: an archive, an index, or an index with the chunks that
 * it lacks. Used by what the places of the casync protocol look like to others.
 */
import type { ChunkId } from '../../formats/chunk-id.ts';
import { isCasError, LimitExceeded } from '../../formats/errors.ts';
import { PROTOCOL_FLAG } from '../../formats/protocol-flags.ts';
import { MAX_SENT_CHUNK_SIZE, type Message } from '../../formats/remote-protocol.ts';
import { StorageError } from '../errors.ts';
import type { FileWriter } from '../remote-file.ts';
import type { StoredChunk } from '../stored-chunk.ts';
import { PeerProcess, type PeerProcessOptions } from './peer-process.node.ts';
import type { Command } from './ssh-command.node.ts';

/** A chunk that the other side lacks. @throws ChunkMissing | StorageError, and the push fails */
export type ChunkGiver = (id: ChunkId) => Promise<StoredChunk>;

export interface PushSessionOptions extends Omit<PeerProcessOptions, 'flags'> {
  readonly file: 'index' | 'archive';
  /** With an index: what gives its chunks. Left out: they are there already, or come by other ways. */
  readonly getChunk?: ChunkGiver;
  readonly signal?: AbortSignal | undefined;
  /** Success in spite of the program's status: that it has said goodbye is enough. */
  readonly ignoresStatus?: boolean;
}

/** Bytes of a file in one message. */
const PIECE_SIZE = 64 * 1024;
/** Chunks that are being got ahead of the one that is sent. */
const CHUNKS_AHEAD = 8;

/** The file appears there, as a whole, when `commit` resolves; with an index, after its chunks. */
export class PushSession implements FileWriter {
  readonly #process: PeerProcess;
  readonly #options: PushSessionOptions;
  readonly #ready: Promise<void>;
  /** Resolves when the other side has everything. */
  readonly #done: Promise<void>;
  /** Pieces of one write follow those of the one before. */
  #turn = Promise.resolve();
  #failure: unknown;
  #isComplete = false;
  #isOver = false;
  readonly #onAbort: () => void;

  constructor(command: Command, options: PushSessionOptions) {
    this.#options = options;
    options.signal?.throwIfAborted();
    this.#process = new PeerProcess(command, { ...options, flags: flagsOf(options) });
    this.#process.expect(true);
    this.#onAbort = () => this.#abort(options.signal?.reason);
    options.signal?.addEventListener('abort', this.#onAbort);
    this.#ready = this.#process.hello().then(() => this.#process.expect(false));
    this.#done = this.#ready.then(() => this.#pump());
    // Told to whoever writes or commits; nobody may be waiting now.
    this.#done.catch((error) => this.#fail(error));
  }

  /** Resolves when the other side is there and takes what is offered. @throws StorageError */
  opened(): Promise<void> {
    return this.#ready;
  }

  /** @throws StorageError, with the program's status if it has ended; what `getChunk` throws */
  write(bytes: Uint8Array): Promise<void> {
    const turn = this.#turn.then(() => this.#writePieces(bytes));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #writePieces(bytes: Uint8Array): Promise<void> {
    await this.#ready.catch((error) => {
      throw this.#failure ?? error;
    });
    for (let offset = 0; offset < bytes.length; offset += PIECE_SIZE) {
      // The memory is the caller's again when this returns.
      const piece = bytes.slice(offset, offset + PIECE_SIZE);
      await this.#send({ kind: this.#options.file, bytes: piece });
    }
  }

  /** @throws as {@link write} */
  async commit(): Promise<void> {
    try {
      await this.#ready;
      await this.#turn;
      this.#isComplete = true;
      await this.#send({ kind: `${this.#options.file}-eof` });
      this.#process.expect(true);
      await this.#done;
      this.#checkFailure();
      await this.#end();
    } catch (error) {
      await this.#stop(this.#failure ?? error);
      throw this.#failure ?? error;
    } finally {
      this.#release();
    }
  }

  async discard(): Promise<void> {
    this.#release();
    if (!this.#isOver) await this.#stop(undefined);
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    const ending = await this.#process.finish();
    if (this.#options.ignoresStatus === true || ending === 'with status 0') return;
    throw await this.#process.endedEarly();
  }

  #release(): void {
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
  }

  #abort(reason: unknown): void {
    this.#failure ??= reason;
    void this.#stop(reason);
  }

  async #send(message: Message): Promise<void> {
    this.#checkFailure();
    try {
      await this.#process.send(message);
    } catch (error) {
      // The pump hears from the program itself why it does not read any more.
      await this.#process.endedEarly();
      await this.#done.catch(() => {});
      this.#checkFailure();
      throw error;
    }
    this.#checkFailure();
  }

  #checkFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #pump(): Promise<void> {
    for (;;) {
      const message = await this.#process.receive();
      if (message.kind === 'request') await this.#giveChunks(message.ids);
      if (message.kind !== 'goodbye') continue;
      if (this.#isComplete) return;
      throw new StorageError('IO', {
        subject: this.#process.label,
        reason: 'The other side says goodbye before it has everything',
      });
    }
  }

  /** Sends chunks in the order in which they were asked for, some being got ahead. */
  async #giveChunks(ids: readonly ChunkId[]): Promise<void> {
    const { getChunk } = this.#options;
    if (getChunk === undefined) throw new TypeError('nobody has agreed to give chunks');
    const ahead: Promise<StoredChunk>[] = [];
    const start = (id: ChunkId | undefined): void => {
      if (id === undefined) return;
      const chunk = getChunk(id);
      // If another one fails first, nobody waits for this one.
      chunk.catch(() => {});
      ahead.push(chunk);
    };
    for (const id of ids.slice(0, CHUNKS_AHEAD)) start(id);
    for (const [i, id] of ids.entries()) {
      const { bytes, isPlain } = (await ahead.shift()) ?? (await getChunk(id));
      start(ids[i + CHUNKS_AHEAD]);
      this.#checkSize(id, bytes.length);
      await this.#giveChunk({ kind: 'chunk', id, isPlain, bytes });
    }
  }

  async #giveChunk(message: Message): Promise<void> {
    try {
      await this.#process.send(message);
    } catch {
      // The program itself says why it does not read any more.
      throw await this.#process.endedEarly();
    }
  }

  #checkSize(id: ChunkId, size: number): void {
    if (size <= MAX_SENT_CHUNK_SIZE) return;
    throw new LimitExceeded({
      subject: `${this.#process.label}: chunk ${id}`,
      reason: `The protocol has no room for chunks above ${MAX_SENT_CHUNK_SIZE} bytes`,
    });
  }

  async #fail(error: unknown): Promise<void> {
    this.#failure ??= error;
    await this.#stop(this.#failure);
  }

  /** Ends the program; without the end of the file it leaves nothing there. */
  async #stop(reason: unknown): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#process.hasAgreed) {
      const text = isCasError(reason) ? reason.reason : 'Operation canceled';
      // May not arrive any more; the end of the pipe says the same.
      void this.#process.send({ kind: 'abort', errorNumber: 0, reason: text }).catch(() => {});
    }
    await this.#process.stop();
  }
}

function flagsOf({ file, getChunk }: PushSessionOptions): number {
  const { PUSH_ARCHIVE, PUSH_INDEX, PUSH_CHUNKS, PUSH_INDEX_CHUNKS } = PROTOCOL_FLAG;
  if (file === 'archive') return PUSH_ARCHIVE;
  return getChunk === undefined ? PUSH_INDEX : PUSH_INDEX | PUSH_CHUNKS | PUSH_INDEX_CHUNKS;
}
