/**
 * Which blocks of an image come from its overlay, which are zeros, and which come from the base: two
 * bits a block, in memory only for the parts of the image that were ever written.
 */
import {
  BLOCKS_PER_PAGE,
  type BlockState,
  FROM_BASE,
  STATES_LENGTH,
  ZEROS,
} from '../../../formats/overlay.ts';

/** Four blocks in the same state, as a byte. */
const REPEATED = 0b01_01_01_01;
/** A page of zeros only; shared, as wiping a disk makes many of them. */
const ALL_ZEROS = new Uint8Array(STATES_LENGTH).fill(ZEROS * REPEATED);
const ALL_BASE = new Uint8Array(STATES_LENGTH);

/** Blocks in the same state. */
export interface BlockRun {
  readonly state: BlockState;
  /** Number of the block behind the last one. */
  readonly end: number;
}

export class BlockMap {
  readonly #blockCount: number;
  readonly #pages: (Uint8Array | undefined)[];
  readonly #dirty = new Set<number>();

  constructor(blockCount: number) {
    this.#blockCount = blockCount;
    this.#pages = new Array(Math.ceil(blockCount / BLOCKS_PER_PAGE)).fill(undefined);
  }

  /** Whether a page was ever written or reserved. */
  has(page: number): boolean {
    return this.#pages[page] !== undefined;
  }

  /** Sets what is known of a page. @param states kept, not copied */
  load(page: number, states: Uint8Array = ALL_BASE): void {
    const isShared = states[0] === ALL_ZEROS[0] && states.every((byte) => byte === ALL_ZEROS[0]);
    this.#pages[page] = isShared ? ALL_ZEROS : states;
  }

  /** The states of a page's blocks, as they are stored; not to be kept. */
  states(page: number): Uint8Array {
    return this.#pages[page] ?? ALL_BASE;
  }

  stateOf(block: number): BlockState {
    const page = Math.floor(block / BLOCKS_PER_PAGE);
    return stateIn(this.states(page), block - page * BLOCKS_PER_PAGE);
  }

  /** Changes the blocks from `first` up to `end`, without it. */
  fill(first: number, end: number, state: BlockState): void {
    for (let block = first; block < end; ) {
      const page = Math.floor(block / BLOCKS_PER_PAGE);
      const start = page * BLOCKS_PER_PAGE;
      const pageEnd = Math.min(start + BLOCKS_PER_PAGE, this.#blockCount);
      const stop = Math.min(end, pageEnd);
      if (state === ZEROS && block === start && stop === pageEnd) this.#pages[page] = ALL_ZEROS;
      else fillIn(this.#own(page), block - start, stop - start, state);
      this.#dirty.add(page);
      block = stop;
    }
  }

  /** The blocks from `block` on that are in the same state, looked for up to `end`. */
  runAt(block: number, end: number): BlockRun {
    const state = this.stateOf(block);
    let at = block;
    while (at < end) {
      const page = Math.floor(at / BLOCKS_PER_PAGE);
      const start = page * BLOCKS_PER_PAGE;
      const stop = Math.min(end, start + BLOCKS_PER_PAGE);
      const found = runEnd(this.states(page), at - start, stop - start, state);
      at = start + found;
      if (at < stop) break;
    }
    return { state, end: at };
  }

  /** Pages that have changed since they were last taken. */
  get dirtyPages(): readonly number[] {
    return [...this.#dirty];
  }

  /** From now on only new changes make the page dirty. */
  take(page: number): void {
    this.#dirty.delete(page);
  }

  /** A page that was taken could not be stored. */
  giveBack(page: number): void {
    this.#dirty.add(page);
  }

  #own(page: number): Uint8Array {
    const states = this.states(page);
    if (states !== ALL_ZEROS && states !== ALL_BASE) return states;
    const copy = states.slice();
    this.#pages[page] = copy;
    return copy;
  }
}

function stateIn(states: Uint8Array, i: number): BlockState {
  // The fourth value is refused when a map is read.
  return ((states[i >>> 2] >>> (2 * (i & 3))) & 3) as BlockState;
}

function fillIn(states: Uint8Array, first: number, end: number, state: BlockState): void {
  let i = first;
  for (; i < end && (i & 3) !== 0; i++) setIn(states, i, state);
  const whole = end & ~3;
  if (i < whole) {
    states.fill(state * REPEATED, i >>> 2, whole >>> 2);
    i = whole;
  }
  for (; i < end; i++) setIn(states, i, state);
}

function setIn(states: Uint8Array, i: number, state: BlockState): void {
  const shift = 2 * (i & 3);
  states[i >>> 2] = (states[i >>> 2] & ~(3 << shift)) | (state << shift);
}

function runEnd(states: Uint8Array, first: number, end: number, state: BlockState): number {
  if (states === ALL_ZEROS) return state === ZEROS ? end : first;
  if (states === ALL_BASE) return state === FROM_BASE ? end : first;
  const four = state * REPEATED;
  let i = first;
  while (i < end) {
    if ((i & 3) === 0 && i + 4 <= end && states[i >>> 2] === four) i += 4;
    else if (stateIn(states, i) === state) i++;
    else break;
  }
  return i;
}
