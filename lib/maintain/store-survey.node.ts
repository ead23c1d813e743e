/** What a store holds, in numbers. Used by `info`. */
import * as fs from 'node:fs';
import { isCasError } from '../../formats/errors.ts';
import { detectCodec } from '../../store/codec-magic.ts';
import { LEASE_FOLDER } from '../../store/lease-objects.ts';
import { isPackName, OpenedPack, PACK_FOLDER } from '../../store/pack-folder.node.ts';
import { toStorageError } from '../../store/system-error.node.ts';
import type { CodecName } from '../../store/transforms.ts';
import type { WorkOptions } from '../api/work-options.ts';
import { throwIfAborted } from '../errors.ts';
import { CHAINS_FOLDER } from '../images/chain/chain-folder.node.ts';
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
  /** Files of packs, their bytes, and the chunks in them; left out if there are none. */
  readonly packs?: PackSurvey;
  /** What does not belong into a store. */
  readonly foreignCount: number;
}

export interface PackSurvey {
  readonly packCount: number;
  readonly packBytes: number;
  readonly chunkCount: number;
}

const KNOWN_FOLDERS: ReadonlySet<string> = new Set([LEASE_FOLDER, PACK_FOLDER, CHAINS_FOLDER]);
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
  let foreignCount = others.filter(({ name }) => !KNOWN_FOLDERS.has(name)).length;
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
  const packs = others.some(({ name }) => name === PACK_FOLDER) ? surveyPacks(folder) : undefined;
  return {
    ...survey,
    ...(packs ? { packs } : {}),
    compressions,
    folderCount: shards.length,
    foreignCount,
  };
}

/** Packs that cannot be read count as files. */
function surveyPacks(store: string): PackSurvey {
  const folder = `${store}/${PACK_FOLDER}`;
  const counts = { packCount: 0, packBytes: 0, chunkCount: 0 };
  for (const name of fs.readdirSync(folder)) {
    if (!isPackName(name)) continue;
    const path = `${folder}/${name}`;
    counts.packCount += 1;
    counts.packBytes += fs.lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
    try {
      const pack = new OpenedPack(path);
      counts.chunkCount += pack.reader.layout.count;
      pack.close();
    } catch (error) {
      if (!isCasError(error)) throw error;
    }
  }
  return counts;
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
