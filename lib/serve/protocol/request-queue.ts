/**
 * The chunks that a client of the casync protocol has asked for and not got yet, in the order of their
 * answers (spec/remote.md, "Serving the protocol"). Used by pull.node.ts.
 */
import { CHUNK_ID_LENGTH, type ChunkId, writeChunkId } from '../../../formats/chunk-id.ts';
import { ChunkIdSet } from '../../maintain/chunk-id-set.ts';

/** Chunks that wait for their answers, at most; a client that wants more has to wait. */
const MAX_WAITING = 256 * 1024;

type Urgency = 'urgent' | 'usual';

/** Ids in the order in which they came, any of which can be taken out. */
class IdLine {
  readonly #ids = new Set<ChunkId>();
  /** Goes on behind what was taken: a new one would pass all that is gone. */
  #order = this.#ids.values();

  get length(): number {
    return this.#ids.size;
  }

  has(id: ChunkId): boolean {
    return this.#ids.has(id);
  }

  add(id: ChunkId): void {
    this.#ids.add(id);
  }

  remove(id: ChunkId): boolean {
    return this.#ids.delete(id);
  }

  shift(): ChunkId | undefined {
    if (this.#ids.size === 0) return undefined;
    let next = this.#order.next();
    if (next.done) {
      this.#order = this.#ids.values();
      next = this.#order.next();
    }
    const { value } = next;
    if (value !== undefined) this.#ids.delete(value);
    return value;
  }
}

export class RequestQueue {
  readonly #lines: Readonly<Record<Urgency, IdLine>> = {
    urgent: new IdLine(),
    usual: new IdLine(),
  };
  readonly #underWay = new Map<ChunkId, Urgency>();
  readonly #answered: Readonly<Record<Urgency, ChunkIdSet>> = {
    urgent: new ChunkIdSet(),
    usual: new ChunkIdSet(),
  };
  readonly #takers: ((id: ChunkId | undefined) => void)[] = [];
  #onRoom: (() => void) | undefined;
  #hasEnded = false;

  /**
   * Adds a request, unless its answer is waiting or on its way. An urgent one comes before all others,
   * also if the chunk was asked for before. Who has got a chunk may ask for it again; but if he has
   * asked both ways, as the original's client does, he had not got it yet and gets it once.
   * @returns a promise if the next request has to wait
   */
  add(id: ChunkId, isUrgent: boolean): Promise<void> | undefined {
    const urgency = isUrgent ? 'urgent' : 'usual';
    const { urgent, usual } = this.#lines;
    if (this.#hasEnded || urgent.has(id) || this.#underWay.has(id)) return undefined;
    if (usual.has(id)) {
      if (isUrgent && usual.remove(id)) urgent.add(id);
      return undefined;
    }
    if (this.#hasAnswered(id, isUrgent ? 'usual' : 'urgent')) return undefined;
    const taker = this.#takers.shift();
    if (taker === undefined) this.#lines[urgency].add(id);
    else taker(this.#begin(id, urgency));
    return this.#isFull() ? new Promise((resolve) => (this.#onRoom = resolve)) : undefined;
  }

  /** The next to be answered; undefined when all is answered and no more will come. */
  take(): Promise<ChunkId | undefined> {
    for (const urgency of ['urgent', 'usual'] as const) {
      const id = this.#lines[urgency].shift();
      if (id === undefined) continue;
      if (!this.#isFull()) this.#onRoom?.();
      return Promise.resolve(this.#begin(id, urgency));
    }
    if (this.#hasEnded) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** The answer has been sent. */
  done(id: ChunkId): void {
    const urgency = this.#underWay.get(id);
    if (urgency === undefined) return;
    this.#underWay.delete(id);
    this.#answered[urgency].add(bytesOf(id));
  }

  /** No more requests come. @param drop whether those that wait are given up, too */
  end({ drop }: { readonly drop: boolean }): void {
    this.#hasEnded = true;
    if (drop) for (const line of Object.values(this.#lines)) while (line.shift() !== undefined);
    for (const taker of this.#takers.splice(0)) taker(undefined);
    this.#onRoom?.();
  }

  #begin(id: ChunkId, urgency: Urgency): ChunkId {
    this.#underWay.set(id, urgency);
    return id;
  }

  #hasAnswered(id: ChunkId, urgency: Urgency): boolean {
    return this.#answered[urgency].has(bytesOf(id));
  }

  #isFull(): boolean {
    return this.#lines.urgent.length + this.#lines.usual.length >= MAX_WAITING;
  }
}

const scratch = new Uint8Array(CHUNK_ID_LENGTH);

/** Valid until the next call. */
function bytesOf(id: ChunkId): Uint8Array {
  writeChunkId(id, scratch, 0);
  return scratch;
}
