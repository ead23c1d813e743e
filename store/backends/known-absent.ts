/**
 * Names of what was looked for and is not there: who puts it now need not look again. Used by storage
 * where a look costs a request.
 */
export class KnownAbsent {
  readonly #names = new Set<string>();
  readonly #most: number;

  /** @param most names kept, about; more begin anew */
  constructor(most: number) {
    this.#most = most;
  }

  note(names: Iterable<string>): void {
    if (this.#names.size > this.#most) this.#names.clear();
    for (const name of names) this.#names.add(name);
  }

  /** Whether a name is known to be absent; no more after that. */
  take(name: string): boolean {
    return this.#names.delete(name);
  }
}
