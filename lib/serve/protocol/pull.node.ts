/**
 * The side of the casync protocol that gives: index, archive and chunks to a client (spec/remote.md,
 * "Serving the protocol"). Used by `casync pull` and casync-http.
 */
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { isCasError } from '../../../formats/errors.ts';
import { PROTOCOL_FLAG } from '../../../formats/protocol-flags.ts';
import { MAX_SENT_CHUNK_SIZE, type Message } from '../../../formats/remote-protocol.ts';
import type { MessageStream } from '../../../store/peer/message-stream.node.ts';
import type { StoredChunk } from '../../../store/stored-chunk.ts';
import { abortedByPeer, errorNumberOf, tellOfFailure } from './abort.node.ts';
import { AnswerMemory } from './answer-memory.ts';
import { RequestQueue } from './request-queue.ts';
import type { ServedFile } from './served-file.node.ts';
import { getFromFirst, type StoredChunkReader } from './stored-fallback.ts';

/** Bytes of a file in one message, as the original sends it. */
const PIECE_SIZE = 64 * 1024;
/** Chunks that are read at a time: some stores are far away. */
const MAX_READS = 64;

/** Failures that concern one chunk, and do not keep the client from getting it elsewhere. */
const UNFIT: ReadonlySet<string> = new Set(['CHUNK_DAMAGED', 'LIMIT_EXCEEDED']);

export interface PullOptions {
  /** Sent if the client wants it, in this order. */
  readonly archive?: ServedFile;
  readonly index?: ServedFile;
  /** Asked in this order. */
  readonly stores: readonly StoredChunkReader[];
  /** Told of chunks that are there and cannot be sent; the client is told that they are missing. */
  readonly warn: (message: string) => void;
  /** What the client is told of a failure; an error number of Linux. */
  readonly abortNumber?: (error: unknown) => number;
  /** Ends the session, which is no failure. */
  readonly signal?: AbortSignal;
}

/** Flags of the hello of this side. */
export function pullServices({ archive, index, stores }: PullOptions): number {
  const { READABLE_ARCHIVE, READABLE_INDEX, READABLE_STORE } = PROTOCOL_FLAG;
  return (
    (archive ? READABLE_ARCHIVE : 0) |
    (index ? READABLE_INDEX : 0) |
    (stores.length > 0 ? READABLE_STORE : 0)
  );
}

/**
 * Serves one client until it has enough or is gone.
 * @param stream opened with {@link pullServices}; it is ended
 * @throws FormatError for what breaks the protocol, and what reading throws; the client has been told
 */
export async function servePull(stream: MessageStream, options: PullOptions): Promise<void> {
  const session = new PullSession(stream, options);
  const stop = (): void => session.stop();
  options.signal?.addEventListener('abort', stop);
  try {
    await session.run();
    await stream.end();
  } catch (error) {
    if (session.isOver) return;
    session.halt();
    await tellOfFailure(stream, error, options.abortNumber ?? errorNumberOf);
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    session.stop();
  }
}

class PullSession {
  readonly #stream: MessageStream;
  readonly #options: PullOptions;
  readonly #queue = new RequestQueue();
  readonly #memory = new AnswerMemory();
  readonly #ending = new AbortController();
  /** Whether the client has gone or nobody wants the session any more: nothing fails then. */
  isOver = false;

  constructor(stream: MessageStream, options: PullOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  async run(): Promise<void> {
    if ((await this.#receive()) === undefined) return;
    const answers = Array.from({ length: MAX_READS }, () => this.#answerRequests());
    await Promise.all([this.#takeRequests(), this.#sendFiles(), ...answers]);
  }

  /** Nothing more is read or answered. */
  halt(): void {
    this.#queue.end({ drop: true });
    this.#ending.abort();
  }

  stop(): void {
    this.isOver = true;
    this.halt();
    this.#stream.destroy();
  }

  /** The next message; undefined if the client has ended, in whatever way. */
  async #receive(): Promise<Message | undefined> {
    try {
      return await this.#stream.receive();
    } catch (error) {
      if (isCasError(error) && error.code !== 'FORMAT') return undefined;
      throw error;
    }
  }

  async #send(message: Message): Promise<void> {
    try {
      await this.#stream.send(message);
    } catch (error) {
      if (isCasError(error)) this.isOver = true;
      throw error;
    }
  }

  async #takeRequests(): Promise<void> {
    for (;;) {
      const message = await this.#receive();
      if (message === undefined || message.kind === 'goodbye') break;
      if (message.kind === 'abort') throw abortedByPeer('the client', message);
      if (message.kind !== 'request') throw new TypeError(`unexpected ${message.kind}`);
      for (const id of message.ids) {
        // Without a pause in between: what a message names twice is answered once.
        const room = this.#queue.add(id, message.isUrgent);
        if (room !== undefined) await room;
      }
    }
    // Who asked and then ended his side still gets his answers.
    this.#queue.end({ drop: false });
  }

  async #sendFiles(): Promise<void> {
    const theirs = this.#stream.agreement?.theirs ?? 0;
    const { archive, index } = this.#options;
    const { PULL_ARCHIVE, PULL_INDEX } = PROTOCOL_FLAG;
    if (archive && (theirs & PULL_ARCHIVE) !== 0) await this.#sendFile('archive', archive);
    if (index && (theirs & PULL_INDEX) !== 0) await this.#sendFile('index', index);
  }

  async #sendFile(kind: 'archive' | 'index', file: ServedFile): Promise<void> {
    for await (const bytes of file.read({ signal: this.#ending.signal })) {
      for (let offset = 0; offset < bytes.length; offset += PIECE_SIZE) {
        // Sent later than the next one is read, perhaps.
        const piece = bytes.slice(offset, offset + PIECE_SIZE);
        await this.#send({ kind, bytes: piece });
      }
    }
    await this.#send({ kind: kind === 'archive' ? 'archive-eof' : 'index-eof' });
  }

  async #answerRequests(): Promise<void> {
    for (;;) {
      const id = await this.#queue.take();
      if (id === undefined) return;
      let held = await this.#memory.reserve();
      try {
        const chunk = await this.#read(id);
        held = this.#memory.settle(held, chunk?.bytes.length ?? 0);
        const { bytes = undefined, isPlain = false } = chunk ?? {};
        await this.#send(bytes ? { kind: 'chunk', id, isPlain, bytes } : { kind: 'missing', id });
        this.#queue.done(id);
      } finally {
        this.#memory.release(held);
      }
    }
  }

  /** The chunk as it is stored; undefined for one that the client has to look for elsewhere. */
  async #read(id: ChunkId): Promise<StoredChunk | undefined> {
    const { signal } = this.#ending;
    try {
      return await getFromFirst(this.#options.stores, id, { maxSize: MAX_SENT_CHUNK_SIZE, signal });
    } catch (error) {
      if (!isCasError(error)) throw error;
      if (error.code === 'CHUNK_MISSING') return undefined;
      if (!UNFIT.has(error.code)) throw error;
      this.#options.warn(`Cannot send chunk ${id}: ${error.message}`);
      return undefined;
    }
  }
}
