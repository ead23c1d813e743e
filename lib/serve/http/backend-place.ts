/** Objects of any backend, given away by the server. For places that are no folder of this machine. */
import { isCasError } from '../../../formats/errors.ts';
import type { ObjectBackend, ObjectInfo, ObjectRange } from '../../../store/backend.ts';
import { StorageError } from '../../../store/errors.ts';
import type { ChunkRoute, IndexRoute } from './route.ts';
import {
  type OpenFileOptions,
  PIECE_BYTES,
  type ServedFile,
  type ServedPlace,
} from './served-place.ts';

/**
 * @param backend all of the place; belongs to it from now on
 * @param openFolder opens a folder below it for writing
 */
export function createBackendPlace(
  backend: ObjectBackend,
  openFolder: (folder: string) => Promise<ObjectBackend>,
): ServedPlace {
  return {
    label: backend.label,
    open: (route, options) => openObject(backend, route, options),
    openFolder,
    close: () => backend.close(),
  };
}

async function openObject(
  backend: ObjectBackend,
  { kind, key }: ChunkRoute | IndexRoute,
  options: OpenFileOptions,
): Promise<ServedFile | undefined> {
  const signal = options.signal();
  // One request instead of two, for nearly all chunks.
  if (kind === 'chunk' && !options.isHead) {
    try {
      return heldFile(await backend.get(key, { signal, maxSize: PIECE_BYTES }));
    } catch (error) {
      if (!isCasError(error)) throw error;
      if (error.code === 'OBJECT_MISSING') return undefined;
      if (error.code !== 'LIMIT_EXCEEDED') throw error;
    }
  }
  const info = await backend.stat(key, { signal });
  return info === undefined ? undefined : remoteFile(backend, key, info, signal);
}

function heldFile(bytes: Uint8Array): ServedFile {
  return {
    size: bytes.length,
    modified: new Date(0),
    version: '',
    read: ({ offset, length }) => bytes.subarray(offset, offset + length),
    close: () => {},
  };
}

function versionOf({ size, modified }: ObjectInfo): string {
  return `${size.toString(16)}-${modified.getTime().toString(16)}`;
}

function remoteFile(
  backend: ObjectBackend,
  key: string,
  info: ObjectInfo,
  signal: AbortSignal,
): ServedFile {
  const version = versionOf(info);
  return {
    ...info,
    version,
    async read(range: ObjectRange) {
      const bytes = await backend.get(key, { signal, range, maxSize: range.length });
      // The parts of two versions must not be put together.
      const isLast = range.offset + range.length === info.size;
      const isSame = !isLast || (await isVersion(backend, key, version, signal));
      if (bytes.length === range.length && isSame) return bytes;
      const reason = 'was replaced while it was read';
      throw new StorageError('UNAVAILABLE', { subject: key, step: 'read', reason, retry: 'later' });
    },
    close: () => {},
  };
}

async function isVersion(
  backend: ObjectBackend,
  key: string,
  version: string,
  signal: AbortSignal,
): Promise<boolean> {
  const info = await backend.stat(key, { signal });
  return info !== undefined && versionOf(info) === version;
}
