/** The way back to an NBD client: answers one behind the other, none inside another. */

/** The connection as it is written to. */
export interface NbdOutput {
  /**
   * Sends pieces, one behind the other.
   * @param onSent called once, when they are written or never will be; they do not change before
   */
  send(pieces: readonly Uint8Array[], onSent: () => void): void;
  /** Closes the connection at once. */
  destroy(): void;
}

interface Answer {
  readonly pieces: readonly Uint8Array[];
  readonly onSent: () => void;
}

export class ReplyOutput {
  readonly #output: NbdOutput;
  /** Answers that wait for the end of one that is sent in parts. */
  #behind: Answer[] | undefined;
  #partsEnded: Promise<void> = Promise.resolve();

  constructor(output: NbdOutput) {
    this.#output = output;
  }

  send(pieces: readonly Uint8Array[], onSent: () => void): void {
    if (this.#behind === undefined) this.#output.send(pieces, onSent);
    else this.#behind.push({ pieces, onSent });
  }

  /** Sends an answer in parts, with nothing between them. @param parts gets what sends one of them */
  async sendParts(
    parts: (send: (pieces: readonly Uint8Array[]) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    while (this.#behind !== undefined) await this.#partsEnded;
    const behind: Answer[] = [];
    this.#behind = behind;
    const run = parts((pieces) => new Promise((resolve) => this.#output.send(pieces, resolve)));
    this.#partsEnded = run
      .catch(() => this.#output.destroy())
      .then(() => {
        this.#behind = undefined;
        for (const { pieces, onSent } of behind) this.#output.send(pieces, onSent);
      });
    await this.#partsEnded;
    await run;
  }

  destroy(): void {
    this.#output.destroy();
  }
}
