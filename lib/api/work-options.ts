/** What every function of the library takes besides its subject (spec/api.md). */
import type { ProgressSink } from '../progress.ts';

export interface WorkOptions {
  /** Ends the work soon, with an error of code `ABORTED`; nothing half-done is left. */
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  /** Threads besides the caller's; by default one for each other processor, 0 for none. */
  readonly threadCount?: number;
  /** Told why, before somebody else who uses a store is waited for: by make, put and gc. */
  readonly onWait?: (reason: string) => void;
}
