/** What a folder of a store has, which may not be there yet. Used for packs and chains. */
import { readdirSync } from 'node:fs';
import { systemErrorCode, toStorageError } from './system-error.node.ts';

/** @returns no names if there is no such folder @throws StorageError */
export function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw toStorageError(error, folder, 'list');
  }
}
