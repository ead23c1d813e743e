/** Parts of a file, and what lies between them. Used to search only what is not known of a seed. */

export interface Range {
  readonly start: number;
  readonly end: number;
}

export class RangeList {
  #ranges: Range[] = [];

  /** Ranges that follow one another become one. */
  add(start: number, end: number): void {
    const last = this.#ranges.at(-1);
    if (last?.end === start) this.#ranges[this.#ranges.length - 1] = { start: last.start, end };
    else this.#ranges.push({ start, end });
  }

  /** What is not covered of the first `size` bytes, in order. */
  gaps(size: number): readonly Range[] {
    const gaps: Range[] = [];
    let end = 0;
    for (const range of this.#ranges.toSorted((a, b) => a.start - b.start)) {
      if (range.start > end) gaps.push({ start: end, end: Math.min(range.start, size) });
      end = Math.max(end, range.end);
    }
    if (end < size) gaps.push({ start: end, end: size });
    return gaps;
  }
}
