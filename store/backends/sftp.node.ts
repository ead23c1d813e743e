/**
 * Objects and files over SFTP, spoken to the `sftp` subsystem of whatever the system's own ssh reaches:
 * its configuration, keys, agent and questions hold here, too (spec/remote.md, "SFTP").
 */
import type { ObjectBackend } from '../backend.ts';
import type { LocationSettings } from '../location-settings.ts';
import { subsystemOverSsh } from '../peer/ssh-command.node.ts';
import type { RemoteFile } from '../remote-file.ts';
import { openSftpRemoteFile } from './sftp-file.ts';
import { parseSftpFolderUrl, parseSftpUrl, type SftpLocation } from './sftp-location.ts';
import { openSftpObjects } from './sftp-objects.ts';
import { SftpPlace } from './sftp-place.ts';
import { openSftpSession } from './sftp-process.node.ts';

const TIMEOUT_MS = 60_000;
/** Nothing that ssh could do besides, whatever its configuration says of the host. */
const OPTIONS = [
  '-oForwardX11=no',
  '-oForwardAgent=no',
  '-oPermitLocalCommand=no',
  '-oClearAllForwardings=yes',
];

/**
 * @param url of the folder that holds the objects
 * @throws CasError `USAGE`; the server is asked with the first request
 */
export async function openSftpBackend(
  url: string,
  settings: LocationSettings,
): Promise<ObjectBackend> {
  return openSftpObjects(openPlace(parseSftpFolderUrl(url), settings));
}

/**
 * @param url of one index or archive
 * @throws CasError `USAGE`; the server is asked with the first request
 */
export async function openSftpFile(url: string, settings: LocationSettings): Promise<RemoteFile> {
  return openSftpRemoteFile(openPlace(parseSftpUrl(url), settings));
}

function openPlace(location: SftpLocation, settings: LocationSettings): SftpPlace {
  const { environment, timeoutMs = TIMEOUT_MS } = settings;
  const { label, host, user, port } = location;
  const command = subsystemOverSsh(user === undefined ? host : `${user}@${host}`, 'sftp', {
    settings,
    options: [...OPTIONS, ...(port === undefined ? [] : ['-p', String(port)])],
  });
  return new SftpPlace(location, (closed) =>
    openSftpSession({ label, ...command, environment, timeoutMs }, closed),
  );
}
