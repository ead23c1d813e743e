/** What all exports and imports take besides their subject. */
import type { ProgressSink } from '../../progress.ts';

export interface BridgeWork {
  /** Threads besides the caller's. */
  readonly threadCount: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}
