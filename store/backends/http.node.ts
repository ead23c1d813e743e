/** Objects and files over http. */
import type { ObjectBackend } from '../backend.ts';
import { StorageError } from '../errors.ts';
import type { LocationSettings } from '../location-settings.ts';
import type { RemoteFile } from '../remote-file.ts';

/** @param url of the folder that holds the objects */
export async function openHttpBackend(
  url: string,
  _settings: LocationSettings,
): Promise<ObjectBackend> {
  throw new StorageError('UNAVAILABLE', { subject: url, reason: 'Not available in this version.' });
}

/** @param url of one index or archive */
export async function openHttpFile(url: string, _settings: LocationSettings): Promise<RemoteFile> {
  throw new StorageError('UNAVAILABLE', { subject: url, reason: 'Not available in this version.' });
}
