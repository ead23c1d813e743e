/** Progress of a pipeline: plain values, reported as often as convenient; the receiver throttles. */
export interface ProgressEvent {
  /** What is being done, for example `make` or `extract`. */
  readonly phase: string;
  /** Bytes of input or output dealt with so far. */
  readonly doneBytes: number;
  /** Bytes in all, where known. */
  readonly totalBytes?: number;
  /** Chunks dealt with so far, where chunks are counted. */
  readonly chunkCount?: number;
  /** Chunks that were already there. */
  readonly reusedChunkCount?: number;
}

export type ProgressSink = (event: ProgressEvent) => void;

/** Progress in bytes alone. @param totalBytes undefined where it is not known */
export function progressOf(phase: string, doneBytes: number, totalBytes?: number): ProgressEvent {
  return totalBytes === undefined ? { phase, doneBytes } : { phase, doneBytes, totalBytes };
}
