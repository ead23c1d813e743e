/**
 * Repeatable randomness for generators that write to disk, where shrinking is impossible and a seed
 * must be enough to see the same thing again.
 */

export interface Random {
  /** A whole number from `least` to `most`, both included. */
  integer(least: number, most: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
  /** Each item with this probability, in the given order. */
  some<Item>(items: readonly Item[], probability: number): readonly Item[];
  bytes(length: number): Buffer;
  /** Independent randomness that does not change with what else is drawn from this one. */
  fork(label: number): Random;
}

const TWO_POW_32 = 0x1_0000_0000;

/** The generator "sfc32": 128 bits of state, passes the usual statistical suites. */
export function randomFrom(seed: number): Random {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = seed >>> 0;
  let counter = Math.floor(seed / TWO_POW_32) + 1;
  const next = (): number => {
    const result = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return result >>> 0;
  };
  for (let i = 0; i < 16; i++) next();

  const integer = (least: number, most: number): number =>
    least + Math.floor((next() / TWO_POW_32) * (most - least + 1));
  const chance = (probability: number): boolean => next() / TWO_POW_32 < probability;
  return {
    integer,
    chance,
    pick: (items) => items[integer(0, items.length - 1)],
    some: (items, probability) => items.filter(() => chance(probability)),
    bytes: (length) => {
      const words = new Uint32Array(Math.ceil(length / 4));
      for (let i = 0; i < words.length; i++) words[i] = next();
      return Buffer.from(words.buffer, 0, length);
    },
    fork: (label) => randomFrom((seed * 0x10001 + label * 0x9e3779b1) % Number.MAX_SAFE_INTEGER),
  };
}
