/**
 * The side of the casync protocol that takes: an index and the chunks that lack, or an archive, from a
 * client (spec/remote.md, "Serving the protocol"). Used by `casync push`.
 */
import type { DigestName } from '../../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../../formats/chunk-index.ts';
import { digestOfFlags } from '../../../formats/feature-flags.ts';
import { encodeIndex } from '../../../formats/index-codec.ts';
import { PROTOCOL_FLAG } from '../../../formats/protocol-flags.ts';
import type { Message } from '../../../formats/remote-protocol.ts';
import type { MessageStream } from '../../../store/peer/message-stream.node.ts';
import type { ChunkTranscoder } from '../../../store/transcoder.ts';
import { PipelineError, throwIfAborted } from '../../errors.ts';
import { createNodeTranscoder } from '../../local-store.node.ts';
import { whileInUse } from '../../maintain/store-lease.node.ts';
import type { ByteSink } from '../../make/byte-sink.ts';
import { publishIndex } from '../../make/publish-index.node.ts';
import type { StoreDescription } from '../../stores/store-description.ts';
import { abortedByPeer, errorNumberOf, tellOfFailure } from './abort.node.ts';
import { Condition } from './condition.ts';
import { IndexArrival } from './index-arrival.ts';
import { PushedChunks } from './pushed-chunks.node.ts';
import { closeAll, openServedStore } from './served-stores.node.ts';

export interface PushOptions {
  /** Opened when the client has said that it pushes one. */
  readonly archive?: () => Promise<ByteSink>;
  readonly index?: () => Promise<ByteSink>;
  /** The first gets the chunks; what the others have need not come. */
  readonly stores: readonly StoreDescription[];
  /** Told once why, before others are waited for that work in the store. */
  readonly onWait?: (reason: string) => void;
  readonly signal?: AbortSignal;
}

/** Ids can be digests of either kind where no index says which. */
const ALL_DIGESTS: readonly DigestName[] = ['sha512-256', 'sha256'];

/** Flags of the hello of this side. */
export function pushServices({ archive, index, stores }: PushOptions): number {
  const { WRITABLE_ARCHIVE, WRITABLE_INDEX, WRITABLE_STORE } = PROTOCOL_FLAG;
  return (
    (archive ? WRITABLE_ARCHIVE : 0) |
    (index ? WRITABLE_INDEX : 0) |
    (stores.length > 0 ? WRITABLE_STORE : 0)
  );
}

/**
 * Takes what one client pushes. What it pushes appears when all of it is durable, and then the client is
 * told; chunks that were taken before a failure stay for the next time.
 * @param stream opened with {@link pushServices}; it is ended
 * @throws FormatError for what breaks the protocol; ChunkDamaged; PipelineError, also if the client ends
 * early; what storing throws. The client has been told
 */
export async function servePush(stream: MessageStream, options: PushOptions): Promise<void> {
  const session = new PushSession(stream, options);
  const stop = (): void => {
    session.fail(new PipelineError('ABORTED', { reason: 'interrupted' }));
    stream.destroy();
  };
  options.signal?.addEventListener('abort', stop);
  try {
    await session.run();
    await stream.end();
  } catch (error) {
    throwIfAborted(options.signal);
    await tellOfFailure(stream, error, errorNumberOf);
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    stream.destroy();
  }
}

class PushSession {
  readonly #stream: MessageStream;
  readonly #options: PushOptions;
  /** Woken by each message. */
  readonly #state = new Condition();
  readonly #arrival = new IndexArrival();
  #chunks: PushedChunks | undefined;
  #transcoder: ChunkTranscoder | undefined;
  #archive: ByteSink | undefined;
  #index: ChunkIndex | undefined;
  #archiveHasEnded = false;
  #saidGoodbye = false;

  constructor(stream: MessageStream, options: PushOptions) {
    this.#stream = stream;
    this.#options = options;
  }

  async run(): Promise<void> {
    if ((await this.#stream.receive()) === undefined) throw endedEarly('it had said what it wants');
    const { archive, stores } = this.#options;
    try {
      if (this.#wants('PUSH_ARCHIVE')) this.#archive = await archive?.();
      if (this.#wants('PUSH_INDEX')) await this.#takeIndex();
      else if (!this.#wants('PUSH_CHUNKS')) await this.#takeAll();
      else await whileInUse(stores[0], this.#waiting(), () => this.#takeAll());
      await this.#archive?.commit();
    } finally {
      await this.#archive?.discard();
    }
    await this.#stream.send({ kind: 'goodbye' });
  }

  fail(error: unknown): void {
    this.#state.fail(error);
    this.#chunks?.fail(error);
  }

  #wants(operation: keyof typeof PROTOCOL_FLAG): boolean {
    return ((this.#stream.agreement?.theirs ?? 0) & PROTOCOL_FLAG[operation]) !== 0;
  }

  #waiting(): Pick<PushOptions, 'onWait' | 'signal'> {
    const { onWait, signal } = this.#options;
    return { ...(onWait && { onWait }), ...(signal && { signal }) };
  }

  async #takeIndex(): Promise<void> {
    const [store] = this.#options.stores;
    const sink = await this.#options.index?.();
    if (sink === undefined) throw new TypeError('an index that was not offered');
    const take = async (): Promise<{ readonly index: ChunkIndex }> => {
      await this.#takeAll();
      if (this.#index === undefined) throw new TypeError('no index');
      return { index: this.#index };
    };
    if (store !== undefined) {
      await publishIndex(sink, { store, ...this.#waiting() }, take);
      return;
    }
    try {
      await sink.write(encodeIndex((await take()).index));
      await sink.commit();
    } finally {
      await sink.discard();
    }
  }

  /** Resolves when everything is here, and all chunks are durable. */
  async #takeAll(): Promise<void> {
    const stores = await this.#openStores();
    try {
      this.#receiveAll().catch((error: unknown) => this.fail(error));
      await this.#complete();
      await this.#chunks?.flush();
    } catch (error) {
      this.fail(error);
      await this.#chunks?.flushRest();
      throw error;
    } finally {
      await closeAll(stores);
    }
  }

  async #openStores() {
    if (!this.#wants('PUSH_CHUNKS')) return [];
    const stores = await Promise.all(this.#options.stores.map(openServedStore));
    const [store, ...others] = stores;
    this.#chunks = new PushedChunks({
      store,
      others,
      transcoder: () => this.#openTranscoder(),
      request: (ids) => this.#stream.send({ kind: 'request', isUrgent: false, ids }),
    });
    return stores;
  }

  #openTranscoder(): ChunkTranscoder {
    if (this.#transcoder !== undefined) return this.#transcoder;
    const { header } = this.#arrival;
    if (header === undefined && this.#wants('PUSH_INDEX')) {
      throw new PipelineError('USAGE', { subject: 'chunk', reason: 'comes before the index' });
    }
    const digests = header ? [digestOfFlags(header.featureFlags)] : ALL_DIGESTS;
    this.#transcoder = createNodeTranscoder(digests, 'zstd');
    return this.#transcoder;
  }

  /** Asks for what lacks while the index arrives, and waits for the end of everything. */
  async #complete(): Promise<void> {
    if (this.#wants('PUSH_INDEX')) await this.#completeIndex();
    if (this.#wants('PUSH_ARCHIVE')) await this.#state.until(() => this.#archiveHasEnded);
    if (!this.#isFreePush) return;
    await this.#state.until(() => this.#saidGoodbye);
  }

  async #completeIndex(): Promise<void> {
    const arrival = this.#arrival;
    while (!arrival.isUsedUp) {
      const chunk = arrival.next();
      if (chunk === undefined) await this.#state.change();
      else if (this.#wants('PUSH_INDEX_CHUNKS')) await this.#chunks?.want(chunk);
    }
    await this.#chunks?.complete();
  }

  /** Whether chunks come that nobody has asked for; the client says when it has no more. */
  get #isFreePush(): boolean {
    return this.#wants('PUSH_CHUNKS') && !this.#wants('PUSH_INDEX_CHUNKS');
  }

  async #receiveAll(): Promise<void> {
    for (;;) {
      const message = await this.#stream.receive();
      if (message === undefined) return this.#end(false);
      if (message.kind === 'goodbye') return this.#end(true);
      await this.#take(message);
      this.#state.wake();
    }
  }

  /** The client sends nothing more. @throws PipelineError if something lacks that nobody can ask for */
  #end(isGoodbye: boolean): void {
    this.#saidGoodbye = isGoodbye;
    if (this.#wants('PUSH_INDEX') && !this.#index) throw endedEarly('the index was here');
    if (this.#wants('PUSH_ARCHIVE') && !this.#archiveHasEnded) {
      throw endedEarly('the archive was here');
    }
    if (this.#isFreePush && !isGoodbye) throw endedEarly('it had said that this is all');
    this.#chunks?.end();
    this.#state.wake();
  }

  async #take(message: Message): Promise<void> {
    switch (message.kind) {
      case 'archive':
        return await this.#archive?.write(message.bytes);
      case 'archive-eof':
        this.#archiveHasEnded = true;
        return;
      case 'index':
        return this.#arrival.add(message.bytes);
      case 'index-eof':
        this.#index = this.#arrival.finish();
        return;
      case 'chunk':
        return this.#chunks?.accept(message);
      case 'missing':
        return this.#chunks?.refuse(message.id);
      case 'abort':
        throw abortedByPeer('the sender', message);
      default:
        throw new TypeError(`unexpected ${message.kind}`);
    }
  }
}

function endedEarly(before: string): PipelineError {
  const reason = `ended before ${before}`;
  return new PipelineError('UNAVAILABLE', { subject: 'the sender', reason });
}
