/**
 * What lies in the folder of a store, by name: chunks, temporaries and what does not belong there
 * (spec/formats/castr.md, "Layout"). Used by gc, the check of stores and info. Only folders named by
 * four hex digits are entered, and no link is followed below the store.
 */
import * as fs from 'node:fs';
import { type ChunkId, parseChunkId } from '../../formats/chunk-id.ts';
import { TEMPORARY_NAME } from '../../store/object-key.ts';
import { systemErrorCode, toStorageError } from '../../store/system-error.node.ts';
import { PipelineError } from '../errors.ts';
import { systemFailure } from '../os/system-error.node.ts';

/** Names of the folders that chunks are in. */
const SHARD = /^[0-9a-f]{4}$/;

export interface StoreEntry {
  /**
   * `compressed` and `plain` are named like chunks; `temporary` is left by a run that died, or
   * belongs to one that goes on.
   */
  readonly kind: 'compressed' | 'plain' | 'temporary' | 'foreign';
  /** Folder within the store; empty for the store's own. */
  readonly shard: string;
  readonly name: string;
  readonly type: 'file' | 'link' | 'folder' | 'other';
  /** What the name says up to the first dot, if that is a chunk id. */
  readonly id?: ChunkId;
}

/** Path of an entry below the store. */
export function entryPath({ shard, name }: StoreEntry): string {
  return shard === '' ? name : `${shard}/${name}`;
}

export interface StoreFolder {
  /** Folders that chunks are in. */
  readonly shards: readonly string[];
  /** Everything else directly in the store. */
  readonly others: readonly StoreEntry[];
}

/** @throws PipelineError `STORE_MISSING` if the folder is not there; StorageError */
export function readStoreFolder(folder: string): StoreFolder {
  const shards: string[] = [];
  const others: StoreEntry[] = [];
  for (const entry of readFolder(folder)) {
    const { name } = entry;
    if (entry.isDirectory() && SHARD.test(name)) shards.push(name);
    else others.push({ kind: 'foreign', shard: '', name, type: typeOf(entry) });
  }
  return { shards, others };
}

/** Whether there are chunks with files of their own. @throws StorageError */
export function hasLooseChunks(folder: string): boolean {
  return fs.existsSync(folder) && readStoreFolder(folder).shards.length > 0;
}

function readFolder(folder: string): readonly fs.Dirent[] {
  try {
    return fs.readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw toStorageError(error, folder, 'list');
    const { reason } = systemFailure('', error);
    throw new PipelineError('STORE_MISSING', { subject: folder, reason, cause: error });
  }
}

/**
 * Entries of one of the folders that chunks are in; none if it is gone.
 * @param suffixes of compressed chunks, none of them empty
 * @throws StorageError
 */
export function readShard(
  folder: string,
  shard: string,
  suffixes: readonly string[],
): readonly StoreEntry[] {
  const path = `${folder}/${shard}`;
  try {
    const entries = fs.readdirSync(path, { withFileTypes: true });
    return entries.map((entry) => classify(entry, shard, suffixes));
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw toStorageError(error, path, 'list');
  }
}

function classify(entry: fs.Dirent, shard: string, suffixes: readonly string[]): StoreEntry {
  const { name } = entry;
  const type = typeOf(entry);
  const id = parseChunkId(name.split('.', 1)[0]);
  const base = { shard, name, type, ...(id === undefined ? {} : { id }) };
  if (suffixes.some((suffix) => name.endsWith(suffix))) return { ...base, kind: 'compressed' };
  if (id === name) return { ...base, kind: 'plain' };
  if (id !== undefined && TEMPORARY_NAME.test(name)) return { ...base, kind: 'temporary' };
  return { ...base, kind: 'foreign' };
}

function typeOf(entry: fs.Dirent): StoreEntry['type'] {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  return entry.isSymbolicLink() ? 'link' : 'other';
}

/** Sizes and times of an entry; undefined if it is gone. @throws StorageError */
export function statEntry(folder: string, entry: StoreEntry): fs.Stats | undefined {
  const path = `${folder}/${entryPath(entry)}`;
  try {
    return fs.lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw toStorageError(error, path, 'look up');
  }
}
