/**
 * Which chunks lie where in a memory of fixed size: each has as much room as it needs, and what was not
 * used for the longest time makes room for others (the CLOCK rule). The memory itself is somebody
 * else's; this is its map. Used where blobs behind an index are read in any order.
 */

/** A chunk that has room in the memory. */
export interface CachedChunk {
  /** Number in the index. */
  readonly chunk: number;
  /** Of its first byte. */
  readonly address: number;
  readonly length: number;
  /** Resolves when its bytes are there; then the chunk is not in the cache any more if it failed. */
  readonly loaded: Promise<unknown>;
  readonly state: 'free' | 'loading' | 'ready';
}

/** A stretch of the memory; they follow each other without gaps. */
interface Region {
  readonly address: number;
  length: number;
  chunk: number;
  state: 'free' | 'loading' | 'ready';
  loaded: Promise<unknown>;
  /** Users of the bytes at the moment. */
  pins: number;
  /** Was used since the hand came by; stays for another round. */
  wasUsed: boolean;
  next: Region | undefined;
}

const NOTHING_TO_WAIT_FOR: Promise<unknown> = Promise.resolve();
/** In the first round what was used is spared, in the second nothing but what is in use. */
const MOST_ROUNDS = 3;

export class ChunkCache {
  /** Bytes that are in use at the moment. */
  #pinnedBytes = 0;
  readonly #chunks = new Map<number, Region>();
  /** In front of the memory; always there. */
  readonly #begin: Region;
  /** The region behind which the search for room goes on. */
  #hand: Region;

  /** @param address of the memory's first byte. @param capacity its length in bytes */
  constructor(address: number, capacity: number) {
    this.#begin = { ...freeRegion(address, 0), next: freeRegion(address, capacity) };
    this.#hand = this.#begin;
  }

  get pinnedBytes(): number {
    return this.#pinnedBytes;
  }

  /** @returns undefined if the chunk is not there and not on its way either */
  find(chunk: number): CachedChunk | undefined {
    return this.#chunks.get(chunk);
  }

  /**
   * Makes room for chunks that are not in the cache, one behind the other.
   * @param lengths of the chunks `first`, `first + 1` and so on, in bytes
   * @returns the address of the first, or undefined while everything is in use
   */
  reserve(first: number, lengths: readonly number[]): number | undefined {
    const length = lengths.reduce((sum, size) => sum + size, 0);
    const run = this.#findRun(length);
    if (run === undefined) return undefined;
    this.#divide(run, first, lengths, length);
    return run.address;
  }

  /** Says when the bytes of a chunk will be there. */
  loading(chunk: number, loaded: Promise<unknown>): void {
    this.#known(chunk).loaded = loaded;
  }

  /** The bytes of a chunk are there. */
  ready(chunk: number): void {
    const region = this.#known(chunk);
    region.state = 'ready';
    region.wasUsed = true;
  }

  /** A chunk could not be had: its room is free again. */
  failed(chunk: number): void {
    free(this.#known(chunk));
    this.#chunks.delete(chunk);
  }

  /** A chunk that is ready stays until it is {@link unpin}ned. */
  pin(chunk: number): void {
    const region = this.#known(chunk);
    if (region.pins === 0) this.#pinnedBytes += region.length;
    region.pins += 1;
    region.wasUsed = true;
  }

  unpin(chunk: number): void {
    const region = this.#known(chunk);
    region.pins -= 1;
    if (region.pins === 0) this.#pinnedBytes -= region.length;
  }

  #known(chunk: number): Region {
    const region = this.#chunks.get(chunk);
    if (region === undefined) throw new RangeError(`chunk ${chunk} has no room`);
    return region;
  }

  /** Regions in a row that can be given up and are long enough, made one. */
  #findRun(length: number): Region | undefined {
    let before = this.#hand;
    let run: Region | undefined;
    for (let round = 0; round < MOST_ROUNDS; ) {
      const region: Region | undefined = run === undefined ? before.next : run.next;
      if (run !== undefined && run.length >= length) {
        this.#hand = run;
        return run;
      }
      if (region === undefined) {
        round += 1;
        before = this.#begin;
        run = undefined;
      } else if (this.#isKept(region)) {
        before = region;
        run = undefined;
      } else {
        this.#giveUp(region);
        if (run === undefined) run = region;
        else {
          run.length += region.length;
          run.next = region.next;
          if (this.#hand === region) this.#hand = before;
        }
      }
    }
    return undefined;
  }

  #isKept(region: Region): boolean {
    if (region.state === 'loading' || region.pins > 0) return true;
    const { wasUsed } = region;
    region.wasUsed = false;
    return wasUsed;
  }

  #giveUp(region: Region): void {
    if (region.state === 'ready') this.#chunks.delete(region.chunk);
    free(region);
  }

  /** Gives a free region to chunks; what they leave is free. */
  #divide(run: Region, first: number, lengths: readonly number[], length: number): void {
    let { next } = run;
    const rest = run.length - length;
    let { address } = run;
    if (rest > 0) next = { ...freeRegion(address + length, rest), next };
    run.next = next;
    let last = run;
    for (const [i, size] of lengths.entries()) {
      const region = i === 0 ? run : { ...freeRegion(address, 0), next };
      region.length = size;
      region.chunk = first + i;
      region.state = 'loading';
      this.#chunks.set(region.chunk, region);
      if (i > 0) last.next = region;
      last = region;
      address += size;
    }
    this.#hand = last;
  }
}

function freeRegion(address: number, length: number): Region {
  return {
    address,
    length,
    chunk: -1,
    state: 'free',
    loaded: NOTHING_TO_WAIT_FOR,
    pins: 0,
    wasUsed: false,
    next: undefined,
  };
}

function free(region: Region): void {
  region.chunk = -1;
  region.state = 'free';
  region.loaded = NOTHING_TO_WAIT_FOR;
}
