/**
 * What may be asked for: chunks of stores, indexes, and two pages about the server (spec/remote.md,
 * "What is served"). Everything else has no route, whatever lies in the folder.
 */
import { type ChunkId, parseChunkId } from '../../../formats/chunk-id.ts';
import type { ObjectKey } from '../../../store/backend.ts';
import { isObjectKey } from '../../../store/object-key.ts';

export interface ChunkRoute {
  readonly kind: 'chunk';
  readonly key: ObjectKey;
  /** The store below the place, empty if the place is the store. */
  readonly store: string;
  readonly id: ChunkId;
  readonly isCompressed: boolean;
}

export interface IndexRoute {
  readonly kind: 'index';
  readonly key: ObjectKey;
  /** Below the place, empty for the place itself. */
  readonly folder: string;
}

export type Route = ChunkRoute | IndexRoute | { readonly kind: 'health' | 'metrics' };

export interface RouteRules {
  /** Whether the place is a store; else it holds indexes and stores. */
  readonly isStore: boolean;
  /** Of compressed chunks. */
  readonly suffix: string;
}

const LONGEST_TARGET = 1024;
/** Folders on the way to an index or store. */
const MOST_FOLDERS = 8;
const SHARD_LENGTH = 4;
const ID_LENGTH = 64;
const STORE_SUFFIX = '.castr';
const INDEX_NAME = /[^/]\.ca[ib][bd]x$/;
const INDEX_SUFFIXES: ReadonlySet<string> = new Set(['.caibx', '.caidx']);
const SUFFIX_LENGTH = 6;

/**
 * The route of a request target, undefined if there is none. A query does not count. No escape has a
 * meaning: names that would need one are not served.
 */
export function findRoute(target: string, rules: RouteRules): Route | undefined {
  if (target.length > LONGEST_TARGET || target.charCodeAt(0) !== 0x2f) return undefined;
  const query = target.indexOf('?');
  const key = target.slice(1, query < 0 ? undefined : query);
  if (key === 'healthz') return { kind: 'health' };
  if (key === 'metrics') return { kind: 'metrics' };
  if (!isObjectKey(key)) return undefined;
  return findChunk(key, rules) ?? (rules.isStore ? undefined : findIndex(key));
}

function findChunk(key: ObjectKey, { isStore, suffix }: RouteRules): ChunkRoute | undefined {
  const isCompressed = suffix !== '' && key.endsWith(suffix);
  const idEnd = isCompressed ? key.length - suffix.length : key.length;
  const idStart = idEnd - ID_LENGTH;
  const shardStart = idStart - 1 - SHARD_LENGTH;
  if (shardStart < 0) return undefined;
  const id = parseChunkId(key.slice(idStart, idEnd));
  if (id === undefined || key[idStart - 1] !== '/') return undefined;
  if (key.slice(shardStart, idStart - 1) !== id.slice(0, SHARD_LENGTH)) return undefined;
  if (isStore !== (shardStart === 0)) return undefined;
  const store = isStore ? '' : key.slice(0, shardStart - 1);
  if (!isStore && (key[shardStart - 1] !== '/' || !isStoreName(store))) return undefined;
  return { kind: 'chunk', key, store, id, isCompressed };
}

function findIndex(key: ObjectKey): IndexRoute | undefined {
  if (!isIndexName(key)) return undefined;
  const folder = key.slice(0, Math.max(0, key.lastIndexOf('/')));
  return isFolder(folder) ? { kind: 'index', key, folder } : undefined;
}

/** Whether a path ends with the name of an index. */
export function isIndexName(path: string): boolean {
  return INDEX_SUFFIXES.has(path.slice(-SUFFIX_LENGTH)) && INDEX_NAME.test(path);
}

/** Whether a path below the place can be that of a store. */
function isStoreName(path: string): boolean {
  if (!path.endsWith(STORE_SUFFIX) || !isObjectKey(path)) return false;
  return isFolder(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
}

/** Stores hold chunks only, and nobody nests without end. */
function isFolder(path: string): boolean {
  if (path === '') return true;
  const folders = path.split('/');
  return folders.length <= MOST_FOLDERS && !folders.some((name) => name.endsWith(STORE_SUFFIX));
}
