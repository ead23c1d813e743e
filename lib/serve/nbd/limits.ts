/** What the NBD server allows its clients (spec/nbd.md, "The server"). */

export interface NbdServerLimits {
  /** Further ones are closed at once. */
  readonly maxConnections: number;
  /** Requests of a client that are under way; those behind them are not read yet. */
  readonly maxRequests: number;
  /** Memory for data on its way to or from one client. */
  readonly clientBytes: number;
  /**
   * The same for all clients together. Beyond it each has what one piece of `PIECE_BYTES` takes, so
   * that nobody waits for those who do not read their answers.
   */
  readonly totalBytes: number;
  /** How long a client may take to say what it wants. */
  readonly negotiationTimeoutMs: number;
  /** How long requests under way are waited for when the server ends. */
  readonly closeTimeoutMs: number;
}

export const DEFAULT_NBD_LIMITS: NbdServerLimits = {
  maxConnections: 256,
  maxRequests: 128,
  // More would not fit into what a cache of chunks lets others keep in place, and be copied.
  clientBytes: 4 * 1024 * 1024,
  totalBytes: 32 * 1024 * 1024,
  negotiationTimeoutMs: 30_000,
  closeTimeoutMs: 3_000,
};

/** Data is read, sent and written in pieces of this size, at most. */
export const PIECE_BYTES = 256 * 1024;
