/**
 * What an output holds already: which parts of new bytes differ from it. Only those are written, so that
 * an update costs what has changed (spec/formats/extraction.md, "Over an older version").
 */
import { nextData } from '../os/holes.node.ts';
import { readFully } from '../os/read.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { HOLE_BLOCK, isZero, type Span } from './sparse.node.ts';
import type { HeldContent } from './target.ts';

const PIECE_LENGTH = 1024 * 1024;

export class HeldReader {
  readonly #held: HeldContent;
  readonly #label: string;
  #memory = Buffer.alloc(0);

  constructor(held: HeldContent, label: string) {
    this.#held = held;
    this.#label = label;
  }

  /** The blocks of `bytes` that are not at `offset` yet, as few spans. */
  differing(bytes: Uint8Array, offset: number): readonly Span[] {
    const old = this.#read(offset, bytes.length);
    const fresh = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (old.length === fresh.length && old.equals(fresh)) return [];
    const spans: Span[] = [];
    for (let start = 0; start < fresh.length; ) {
      const end = Math.min(fresh.length, start + HOLE_BLOCK - ((offset + start) % HOLE_BLOCK));
      const isSame = end <= old.length && fresh.compare(old, start, end, start, end) === 0;
      if (!isSame) extend(spans, start, end);
      start = end;
    }
    return spans;
  }

  /** The blocks between `offset` and `offset + length` that are not zero, by their offsets in the output. */
  *data(offset: number, length: number): Generator<Span> {
    const { descriptor, size } = this.#held;
    const end = Math.min(offset + length, size);
    for (let start = offset; start < end; ) {
      start = nextData(descriptor, start) ?? end;
      if (start >= end) return;
      const pieceEnd = Math.min(end, start - (start % HOLE_BLOCK) + PIECE_LENGTH);
      const old = this.#read(start, pieceEnd - start);
      yield* dataBlocks(old, start);
      start = pieceEnd;
    }
  }

  /** @returns fewer bytes at the end of the content */
  #read(offset: number, length: number): Buffer {
    const { descriptor, size } = this.#held;
    const wanted = Math.max(0, Math.min(length, size - offset));
    if (this.#memory.length < wanted) this.#memory = Buffer.allocUnsafe(wanted);
    try {
      const count = readFully(descriptor, this.#memory.subarray(0, wanted), offset);
      return this.#memory.subarray(0, count);
    } catch (error) {
      throw systemFailure('read', error, this.#label);
    }
  }
}

function* dataBlocks(bytes: Buffer, offset: number): Generator<Span> {
  const spans: Span[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + HOLE_BLOCK - ((offset + start) % HOLE_BLOCK));
    if (!isZero(bytes.subarray(start, end))) extend(spans, start, end);
    start = end;
  }
  for (const { start, end } of spans) yield { start: offset + start, end: offset + end };
}

/** Adds a span, or makes the last one longer if it ends there. */
function extend(spans: Span[], start: number, end: number): void {
  const last = spans.at(-1);
  if (last?.end === start) spans[spans.length - 1] = { start: last.start, end };
  else spans.push({ start, end });
}
