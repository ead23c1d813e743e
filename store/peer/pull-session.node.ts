/**
 * One conversation in which the other side gives: an index or archive in order, and chunks that are asked
 * for. Used by what the places of the casync protocol look like to others (pulled-*.node.ts).
 */

import type { ChunkId } from '../../formats/chunk-id.ts';
import { type CasError, FormatError, LimitExceeded } from '../../formats/errors.ts';
import { PROTOCOL_FLAG } from '../../formats/protocol-flags.ts';
import type { Message } from '../../formats/remote-protocol.ts';
import type { SignalOption } from '../backend.ts';
import { copied } from '../callers-memory.ts';
import { ChunkMissing } from '../errors.ts';
import type { GetStoredOptions, StoredChunk } from '../stored-chunk.ts';
import { PeerProcess, type PeerProcessOptions } from './peer-process.node.ts';
import type { Command } from './ssh-command.node.ts';

export interface PullSessionOptions extends Omit<PeerProcessOptions, 'flags'> {
  /** What to ask for; as the command line says. */
  readonly file?: 'index' | 'archive';
  readonly hasChunks: boolean;
}

/** Chunks that have been asked for and have not come; more wait here for their turn. */
const MAX_UNDER_WAY = 1024;
/** Ids that a conversation remembers. */
const MAX_ANSWERED = 200_000;
/** Bytes of a file that wait for their reader before the other side has to. */
const MAX_WAITING_BYTES = 1024 * 1024;

interface Waiting {
  readonly options: GetStoredOptions;
  readonly resolve: (chunk: StoredChunk) => void;
  readonly reject: (error: unknown) => void;
}

const FLAGS_OF_FILE = {
  index: PROTOCOL_FLAG.PULL_INDEX,
  archive: PROTOCOL_FLAG.PULL_ARCHIVE,
} as const;

export class PullSession {
  readonly #process: PeerProcess;
  /** Everybody who waits for a chunk that was asked for. Nobody may be left when it comes. */
  readonly #waiting = new Map<ChunkId, Waiting[]>();
  /** The original answers only once, whoever asks again. */
  readonly #answered = new Set<ChunkId>();
  /** Ids that are to be asked for. */
  readonly #queue: ChunkId[] = [];
  #underWay = 0;
  #isAsking = false;
  readonly #pieces: Uint8Array[] = [];
  #piecesSize = 0;
  #fileState: 'none' | 'coming' | 'complete' = 'none';
  /** Wakes who waits for the file, or for room for it. */
  #wakeReader = (): void => {};
  #wakePump = (): void => {};
  #isSkippingFile = false;
  #failure: unknown;
  #isRetired = false;
  #isClosing = false;
  readonly #ready: Promise<void>;
  readonly #ended: Promise<void>;

  constructor(command: Command, { file, hasChunks, ...options }: PullSessionOptions) {
    const flags =
      (file === undefined ? 0 : FLAGS_OF_FILE[file]) | (hasChunks ? PROTOCOL_FLAG.PULL_CHUNKS : 0);
    this.#process = new PeerProcess(command, { ...options, flags });
    if (file !== undefined) this.#fileState = 'coming';
    this.#expect();
    this.#ready = this.#process.hello().then(() => {});
    this.#ended = this.#ready.then(() => this.#pump()).catch((error) => this.#fail(error));
  }

  /** Resolves when the program has ended, for whatever reason. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Whether a chunk can be got in this conversation. */
  canAsk(id: ChunkId): boolean {
    const isFull = this.#answered.size >= MAX_ANSWERED && !this.#waiting.has(id);
    return this.#failure === undefined && !this.#answered.has(id) && !isFull;
  }

  /** @param id of which {@link canAsk} says yes @throws ChunkMissing | LimitExceeded | StorageError | FormatError */
  async getStored(id: ChunkId, options: GetStoredOptions): Promise<StoredChunk> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        // What comes nevertheless is for nobody.
        const others = this.#waiting.get(id)?.filter((other) => other !== waiting);
        if (others !== undefined) this.#waiting.set(id, others);
        reject(signal?.reason);
      };
      const settled = (): void => signal?.removeEventListener('abort', stop);
      const waiting: Waiting = {
        options,
        resolve: (chunk) => {
          settled();
          resolve(chunk);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal?.addEventListener('abort', stop);
      this.#want(id, waiting);
    });
  }

  /**
   * The file, once: pieces that belong to the caller. Who stops before the end lets the rest of it go.
   * @throws StorageError | FormatError
   */
  async *readFile({ signal }: SignalOption = {}): AsyncGenerator<Uint8Array> {
    const wake = (): void => this.#wakeReader();
    signal?.addEventListener('abort', wake);
    try {
      for (;;) {
        signal?.throwIfAborted();
        const piece = this.#pieces.shift();
        if (piece !== undefined) {
          this.#piecesSize -= piece.length;
          this.#wakePump();
          yield piece;
          continue;
        }
        if (this.#fileState === 'complete') return;
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    } finally {
      signal?.removeEventListener('abort', wake);
      this.#isSkippingFile = true;
      this.#wakePump();
      if (this.#isRetired) this.retire();
    }
  }

  /** Ends the conversation when nobody waits for anything any more. */
  retire(): void {
    this.#isRetired = true;
    const isReading = this.#fileState !== 'none' && !this.#isSkippingFile;
    if (this.#waiting.size > 0 || isReading || this.#isClosing) return;
    // Who opened it waits for it when all is closed.
    void this.close();
  }

  /** Ends the conversation; who still waits is told. Resolves when the program has ended. */
  async close(): Promise<void> {
    const isQuiet = this.#waiting.size === 0 && this.#fileState !== 'coming';
    const canEndWell = isQuiet && this.#failure === undefined && this.#process.hasAgreed;
    if (this.#isClosing) return this.#ended;
    this.#isClosing = true;
    if (!canEndWell) {
      await this.#process.stop();
      await this.#ended;
      return;
    }
    // Politeness: whoever does not hear it finds the pipe closed.
    await this.#process.send({ kind: 'goodbye' }).catch(() => {});
    await this.#process.finish();
    await this.#ended;
  }

  #want(id: ChunkId, waiting: Waiting): void {
    const others = this.#waiting.get(id);
    if (others !== undefined) {
      others.push(waiting);
      return;
    }
    this.#waiting.set(id, [waiting]);
    this.#queue.push(id);
    this.#wakePump();
    this.#ask();
  }

  /** Asks for what is in the queue, as far as it may be under way. */
  #ask(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#ready
      .then(() => this.#sendRequests())
      // The pump hears from the program itself why it does not read any more.
      .catch(() => this.#process.endedEarly());
  }

  /** One message for each id: desync answers only the first of several. */
  async #sendRequests(): Promise<void> {
    try {
      while (this.#underWay < MAX_UNDER_WAY) {
        const id = this.#queue.shift();
        if (id === undefined) return;
        if (!this.#isWanted(id)) continue;
        this.#underWay++;
        this.#expect();
        await this.#process.send({ kind: 'request', isUrgent: false, ids: [id] });
      }
    } finally {
      // At once, or who asks in the next moment would not be heard.
      this.#isAsking = false;
    }
  }

  /** Whether anybody still waits for a chunk that has not been asked for. */
  #isWanted(id: ChunkId): boolean {
    const isWanted = (this.#waiting.get(id)?.length ?? 0) > 0;
    if (!isWanted) this.#waiting.delete(id);
    return isWanted;
  }

  /** Takes everything that comes, until the end. */
  async #pump(): Promise<void> {
    for (;;) {
      this.#expect();
      const message = await this.#process.receive();
      switch (message.kind) {
        case 'index':
        case 'archive':
          await this.#takePiece(message.bytes);
          break;
        case 'index-eof':
        case 'archive-eof':
          this.#fileState = 'complete';
          this.#wakeReader();
          break;
        case 'chunk':
        case 'missing':
          this.#answer(message);
          break;
        case 'goodbye':
          throw await this.#process.endedEarly();
      }
    }
  }

  async #takePiece(bytes: Uint8Array): Promise<void> {
    if (this.#isSkippingFile) return;
    this.#pieces.push(bytes.slice());
    this.#piecesSize += bytes.length;
    this.#wakeReader();
    // Chunks come behind the file: who waits for one must not wait for the reader of the file.
    while (
      this.#piecesSize > MAX_WAITING_BYTES &&
      this.#waiting.size === 0 &&
      !this.#isSkippingFile &&
      !this.#isClosing
    ) {
      await new Promise<void>((resolve) => {
        this.#wakePump = resolve;
      });
    }
  }

  #answer(message: Extract<Message, { readonly kind: 'chunk' | 'missing' }>): void {
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) {
      const record = message.kind.toUpperCase();
      throw new FormatError('casync protocol', record, 0, 'nobody has asked for this chunk');
    }
    this.#waiting.delete(message.id);
    this.#answered.add(message.id);
    this.#underWay--;
    if (this.#queue.length > 0) this.#ask();
    for (const { options, resolve, reject } of waiting) {
      if (message.kind === 'missing') reject(this.#missing(message.id));
      else if (message.bytes.length > options.maxSize) reject(this.#tooLarge(message.id, options));
      else resolve({ bytes: copied(message.bytes, options.into), isPlain: message.isPlain });
    }
    if (this.#isRetired) this.retire();
  }

  #missing(id: ChunkId): CasError {
    const reason = 'The store there does not have it';
    return new ChunkMissing({ subject: `${this.#process.label}: chunk ${id}`, reason });
  }

  #tooLarge(id: ChunkId, { maxSize }: GetStoredOptions): CasError {
    const reason = `larger than ${maxSize} bytes`;
    return new LimitExceeded({ subject: `${this.#process.label}: chunk ${id}`, reason });
  }

  /** Silence is too long only while something is to come. */
  #expect(): void {
    this.#process.expect(
      !this.#process.hasAgreed || this.#fileState === 'coming' || this.#underWay > 0,
    );
  }

  async #fail(error: unknown): Promise<void> {
    this.#failure = error;
    for (const waiting of this.#waiting.values()) {
      for (const { reject } of waiting) reject(error);
    }
    this.#waiting.clear();
    this.#queue.length = 0;
    this.#wakeReader();
    if (!this.#isClosing) await this.#process.stop();
  }
}
