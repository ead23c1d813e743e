/** A request as the handler sees it, whatever it came over. */
import type { HeaderReader } from './conditions.ts';

export interface ServedRequest {
  readonly method: string;
  /** As it was sent, with its query. */
  readonly target: string;
  readonly header: HeaderReader;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: () => AbortSignal;
  /** The body, at most `limit` bytes. @throws CasError `LIMIT_EXCEEDED`, `ABORTED` */
  readonly readBody: (limit: number) => Promise<Uint8Array>;
}
