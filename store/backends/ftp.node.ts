/** Objects and files over FTP, with the package basic-ftp (spec/remote.md, "FTP"). */
import type { ObjectBackend } from '../backend.ts';
import type { LocationSettings } from '../location-settings.ts';
import type { RemoteFile } from '../remote-file.ts';
import { openFtpRemoteFile } from './ftp-file.node.ts';
import { parseFtpFolderUrl, parseFtpUrl } from './ftp-location.ts';
import { openFtpObjects } from './ftp-objects.node.ts';
import { FtpPool } from './ftp-pool.node.ts';

/**
 * @param url of the folder that holds the objects
 * @throws CasError `USAGE`; the server is asked with the first request
 */
export async function openFtpBackend(
  url: string,
  settings: LocationSettings,
): Promise<ObjectBackend> {
  return openFtpObjects(new FtpPool(parseFtpFolderUrl(url), settings));
}

/**
 * @param url of one index or archive
 * @throws CasError `USAGE`; the server is asked with the first request
 */
export async function openFtpFile(url: string, settings: LocationSettings): Promise<RemoteFile> {
  return openFtpRemoteFile(new FtpPool(parseFtpUrl(url), settings));
}
