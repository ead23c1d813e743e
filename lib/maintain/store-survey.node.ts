/** What a store holds, in numbers. Used by `info`. */
import * as fs from 'node:fs';
import { detectCodec } from '../../store/codec-magic.ts';
import { LEASE_FOLDER } from '../../store/lease-objects.ts';
import { toStorageError } from '../../store/system-error.node.ts';
import type { CodecName } from '../../store/transforms.ts';
import type { WorkOptions } from '../api/work-options.ts';
import { throwIfAborted } from '../errors.ts';
import { createBreather } from '../work/breathe.ts';
import {
  entryPath,
  readShard,
  readStoreFolder,
  type StoreEntry,
  statEntry,
} from './store-folder.node.ts';

export interface StoreSurvey {
  readonly chunkCount: number;
  /** Stored bytes of all chunks. */
  readonly storedBytes: number;
  /** Folders that chunks are in. */
  readonly folderCount: number;
  /** Chunks by compression, of those that were looked at; `none` are stored as they are. */
  readonly compressions: Readonly<Partial<Record<CodecName | 'none' | 'unknown', number>>>;
  /** Chunks that were looked at: all, or in a large store a sample. */
  readonly sampledCount: number;
  /** Unfinished files. */
  readonly temporaryCount: number;
  /** What does not belong into a store. */
  readonly foreignCount: number;
}

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;
/** Bytes that tell a compression. */
const MAGIC_LENGTH = 6;
/** All of so many chunks are looked at, then one of ten of as many more, and so on. */
const SAMPLE_COUNT = 10_000;
const SPARSER = 10;

/** @throws PipelineError `STORE_MISSING`, `ABORTED`; StorageError */
export async function surveyStore(
  folder: string,
  suffix: string,
  { signal }: WorkOptions = {},
): Promise<StoreSurvey> {
  const { shards, others } = readStoreFolder(folder);
  const breathe = createBreather();
  const compressions: Partial<Record<CodecName | 'none' | 'unknown', number>> = {};
  const survey = { chunkCount: 0, storedBytes: 0, sampledCount: 0, temporaryCount: 0 };
  let foreignCount = others.filter(({ name }) => name !== LEASE_FOLDER).length;
  let every = 1;
  for (const shard of shards) {
    throwIfAborted(signal);
    await breathe();
    for (const entry of readShard(folder, shard, [suffix])) {
      if (entry.kind === 'temporary') survey.temporaryCount += 1;
      else if (entry.kind === 'foreign' || entry.id === undefined || entry.type !== 'file') {
        foreignCount += 1;
      } else {
        survey.storedBytes += statEntry(folder, entry)?.size ?? 0;
        survey.chunkCount += 1;
        if (survey.chunkCount % every !== 0) continue;
        const compression = entry.kind === 'plain' ? 'none' : compressionOf(folder, entry);
        compressions[compression] = (compressions[compression] ?? 0) + 1;
        survey.sampledCount += 1;
        // Then fewer and fewer, so that a store of any size is soon looked through.
        if (survey.sampledCount % SAMPLE_COUNT === 0) every *= SPARSER;
      }
    }
  }
  return { ...survey, compressions, folderCount: shards.length, foreignCount };
}

function compressionOf(folder: string, entry: StoreEntry): CodecName | 'unknown' {
  const path = `${folder}/${entryPath(entry)}`;
  const bytes = new Uint8Array(MAGIC_LENGTH);
  try {
    const descriptor = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      fs.readSync(descriptor, bytes, 0, MAGIC_LENGTH, 0);
    } finally {
      fs.closeSync(descriptor);
    }
  } catch (error) {
    throw toStorageError(error, path, 'read');
  }
  return detectCodec(bytes) ?? 'unknown';
}
