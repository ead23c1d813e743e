/** The jobs that threads can be asked to do, by name. A pipeline sends them to a pool. */
import { compareChunks } from './jobs/compare-chunks.node.ts';
import { cutSpans } from './jobs/cut-spans.node.ts';
import { digestBlocks } from './jobs/digest-blocks.node.ts';
import { encodeBlocks } from './jobs/encode-blocks.node.ts';
import { fetchChunks } from './jobs/fetch-chunks.node.ts';
import { findChunks } from './jobs/find-chunks.node.ts';
import { holdDevice } from './jobs/hold-device.node.ts';
import { packEntries } from './jobs/pack-entries.node.ts';
import { restoreEntries } from './jobs/restore-entries.node.ts';
import { scanSegment } from './jobs/scan-segment.node.ts';
import {
  digestChunks,
  digestStream,
  digestZeroChunk,
  digestZeros,
  finishDigest,
  flushStore,
  storeChunks,
  storeZeroChunk,
} from './jobs/store-chunks.node.ts';
import { decodeChunks, encodeChunks } from './jobs/transcode-chunks.node.ts';
import { verifyChunks } from './jobs/verify-chunks.node.ts';
import type { Pool } from './pool.ts';

export const JOBS = {
  scanSegment,
  storeChunks,
  storeZeroChunk,
  digestStream,
  digestZeros,
  finishDigest,
  flushStore,
  compareChunks,
  cutSpans,
  decodeChunks,
  digestBlocks,
  digestChunks,
  digestZeroChunk,
  encodeBlocks,
  encodeChunks,
  fetchChunks,
  findChunks,
  holdDevice,
  packEntries,
  restoreEntries,
  verifyChunks,
} as const;

export type Jobs = typeof JOBS;

/** A pool that knows all jobs. */
export type JobPool = Pool<Jobs>;
