/** Progress of a pipeline: plain values, reported as often as convenient; the receiver throttles. */
export interface ProgressEvent {
  /** What is being done, for example `make` or `extract`. */
  readonly phase: string;
  /** Bytes of input or output dealt with so far. */
  readonly doneBytes: number;
  /** Bytes in all, where known. */
  readonly totalBytes?: number;
  /** Chunks dealt with so far. */
  readonly chunkCount: number;
  /** Chunks that were already there. */
  readonly reusedChunkCount: number;
}

export type ProgressSink = (event: ProgressEvent) => void;
