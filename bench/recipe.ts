/** How a data set is made: what data-sets.ts asks, and data-blobs.ts and data-files.ts answer. */

/** What a builder gets. It makes `path` and returns what it has made. */
export interface BuildContext {
  readonly path: string;
  /** Path of the data set that this one is made from, if any. */
  readonly from: string;
  /** 1 for the real thing; sizes and numbers of files are multiplied by it. */
  readonly scale: number;
  /** Folder for scratch files, beside the data sets. */
  readonly scratch: string;
  readonly signal: AbortSignal;
}

export interface Built {
  readonly bytes: number;
  readonly entries: number;
}
