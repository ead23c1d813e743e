/** Medians and spreads of samples. Used by the reports and the floors of `npm run bench`. */

export interface Summary {
  readonly count: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** The middle half of the samples lies between these two. */
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
}

/** @returns undefined for no values */
export function summarise(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  return {
    count: sorted.length,
    median: quantile(sorted, 0.5),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
  };
}

/** Value at a fraction of the way through sorted values, interpolated between neighbours. */
function quantile(sorted: readonly number[], fraction: number): number {
  const position = fraction * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/**
 * The order of a round: a row of a Williams design. Over as many rounds as there are items each is
 * at each place once, and, for even numbers of items, each directly follows each other one once.
 */
export function orderOfRound<T>(items: readonly T[], round: number): readonly T[] {
  const count = items.length;
  // From both ends in turn: first, last, second, last but one.
  const zigzag = items.map((_, i) => (i % 2 === 0 ? i / 2 : count - (i + 1) / 2));
  const order = zigzag.flatMap((index) => items.slice((index + round) % count).slice(0, 1));
  // Odd numbers of items need the mirrored rows, too.
  return count % 2 === 1 && Math.floor(round / count) % 2 === 1 ? order.reverse() : order;
}
