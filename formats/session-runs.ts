/**
 * Runs of numbers, ascending, in few bytes: gaps and lengths as variable-length integers.
 * Implements spec/formats/session.md, "Runs".
 */
import type { BlockRun } from './block-table.ts';
import { FormatError } from './errors.ts';

/** Runs of one message, at most. */
const MOST_RUNS = 1 << 20;
const LARGEST = Number.MAX_SAFE_INTEGER;
const LONGEST_NUMBER = 8;

/**
 * @param runs ascending and apart, though they may touch
 * @param flagOf a bit that goes with each
 */
export function encodeRuns(
  runs: readonly BlockRun[],
  flagOf: (i: number) => boolean = () => false,
): Uint8Array {
  const content = new Uint8Array((2 * runs.length + 1) * LONGEST_NUMBER);
  let offset = putNumber(content, 0, runs.length);
  let end = 0;
  for (const [i, { first, count }] of runs.entries()) {
    offset = putNumber(content, offset, first - end);
    offset = putNumber(content, offset, count * 2 + (flagOf(i) ? 1 : 0));
    end = first + count;
  }
  return content.slice(0, offset);
}

export interface DecodedRuns {
  readonly runs: readonly BlockRun[];
  /** The bit of each. */
  readonly flags: readonly boolean[];
  /** Offset of what follows. */
  readonly end: number;
}

/** @throws FormatError */
export function decodeRuns(content: Uint8Array, start: number): DecodedRuns {
  const reader = new NumberReader(content, start);
  const length = reader.next();
  if (length > MOST_RUNS) throw reader.wrong(`at most ${MOST_RUNS} runs`);
  const runs: BlockRun[] = [];
  const flags: boolean[] = [];
  let end = 0;
  for (let i = 0; i < length; i++) {
    const first = end + reader.next();
    const word = reader.next();
    const count = Math.floor(word / 2);
    end = first + count;
    if (count === 0 || end > LARGEST) throw reader.wrong('a run of at least one block');
    runs.push({ first, count });
    flags.push(word % 2 === 1);
  }
  return { runs, flags, end: reader.offset };
}

function putNumber(content: Uint8Array, start: number, value: number): number {
  let [offset, rest] = [start, value];
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) content[offset++] = (rest % 0x80) | 0x80;
  content[offset++] = rest;
  return offset;
}

class NumberReader {
  offset: number;
  readonly #content: Uint8Array;

  constructor(content: Uint8Array, offset: number) {
    this.#content = content;
    this.offset = offset;
  }

  next(): number {
    let value = 0;
    for (let [i, scale] = [0, 1]; i < LONGEST_NUMBER; i++, scale *= 0x80) {
      const byte = this.#content[this.offset];
      if (byte === undefined) throw this.wrong('the message ends early');
      this.offset += 1;
      value += (byte & 0x7f) * scale;
      if (value > LARGEST) break;
      if (byte < 0x80) return value;
    }
    throw this.wrong('a number below 2^53');
  }

  wrong(expectation: string): FormatError {
    return new FormatError('session', 'RUNS', this.offset, expectation);
  }
}
