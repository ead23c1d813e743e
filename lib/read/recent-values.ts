/**
 * Values that were used lately, within a bound of memory. Two generations: what is not asked for while
 * the younger one fills up goes with the older one, so that keeping costs no search for the oldest.
 */

interface Kept<Value> {
  readonly value: Value;
  readonly weight: number;
}

export class RecentValues<Value> {
  readonly #mostInYounger: number;
  #younger = new Map<number, Kept<Value>>();
  #older = new Map<number, Kept<Value>>();
  #weight = 0;

  /** @param most weight of all that is kept, in the unit of {@link keep} */
  constructor(most: number) {
    this.#mostInYounger = most / 2;
  }

  get(key: number): Value | undefined {
    const kept = this.#younger.get(key);
    if (kept !== undefined) return kept.value;
    const old = this.#older.get(key);
    if (old === undefined) return undefined;
    this.keep(key, old.value, old.weight);
    return old.value;
  }

  /** What weighs too much is not kept. */
  keep(key: number, value: Value, weight: number): void {
    if (weight > this.#mostInYounger) return;
    if (this.#weight + weight > this.#mostInYounger) {
      this.#older = this.#younger;
      this.#younger = new Map();
      this.#weight = 0;
    }
    const before = this.#younger.get(key)?.weight ?? 0;
    this.#younger.set(key, { value, weight });
    this.#weight += weight - before;
  }
}
