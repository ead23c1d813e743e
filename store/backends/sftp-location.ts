/** What an SFTP URL says: `sftp://[user@]host[:port]/path` (spec/remote.md, "SFTP"). */
import { CasError } from '../../formats/errors.ts';
import { redacted } from '../location.ts';

export interface SftpLocation {
  /** For messages. */
  readonly label: string;
  readonly host: string;
  readonly user?: string;
  readonly port?: number;
  /** One character for each byte; absolute, or relative to the folder in which the server begins. */
  readonly path: string;
}

const PATTERN =
  /^sftp:\/\/(?:([^/]*)@)?(\[[0-9A-Fa-f:.%]+\]|[^/:@[\]]+)(?::([0-9]{1,5}))?(\/.*)?$/s;
const HOME = /^\/~(?:\/|$)/;

/** @throws CasError `USAGE` if it cannot be used */
export function parseSftpUrl(url: string): SftpLocation {
  const label = redacted(url);
  const refuse = (reason: string): CasError => new CasError('USAGE', { subject: label, reason });
  const match = PATTERN.exec(url);
  if (match === null) throw refuse('not a valid SFTP URL');
  const [, credentials, hostWord, portWord, pathWord = '/'] = match;
  if (credentials?.includes(':')) {
    throw refuse('ssh takes no password from a URL: use keys, an agent, or let it ask');
  }
  const port = portWord === undefined ? undefined : Number(portWord);
  if (port !== undefined && (port < 1 || port > 65535)) throw refuse(`no port: ${portWord}`);
  const decoded = decodeBytes(HOME.test(pathWord) ? `.${pathWord.slice(2)}` : pathWord);
  if (decoded === undefined) throw refuse('a path with wrong escapes');
  const user = credentials === undefined ? undefined : decodeBytes(credentials);
  return {
    label,
    host: hostWord.replace(/^\[(.*)\]$/, '$1'),
    path: decoded,
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port }),
  };
}

/** The folder that a URL of objects names, in a form to which names can be appended. */
export function parseSftpFolderUrl(url: string): SftpLocation {
  const location = parseSftpUrl(url.replace(/[?;].*$/s, ''));
  const path = location.path.replace(/\/+$/, '');
  return { ...location, path: path === '' ? '/.' : path };
}

/** One character for each byte; undefined if an escape is wrong or gives a zero byte. */
function decodeBytes(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})|%00|\0/.test(text)) return undefined;
  let bytes = '';
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte);
  return bytes.replace(/%([0-9A-Fa-f]{2})/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}
