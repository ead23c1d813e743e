/** What an FTP URL says: `ftp://[user[:password]@]host[:port]/path` (spec/remote.md, "FTP"). */
import { CasError } from '../../formats/errors.ts';
import { redacted } from '../location.ts';

export interface FtpLocation {
  /** For messages. */
  readonly label: string;
  readonly host: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
  /** Relative to the folder in which the server begins, unless it starts with a slash. */
  readonly path: string;
}

const PATTERN =
  /^ftp:\/\/(?:([^/]*)@)?(\[[0-9A-Fa-f:.]+\]|[^/:@[\]]+)(?::([0-9]{1,5}))?(?:\/(.*))?$/s;

/** @throws CasError `USAGE` if it cannot be used */
export function parseFtpUrl(url: string): FtpLocation {
  const label = redacted(url);
  const refuse = (reason: string): CasError => new CasError('USAGE', { subject: label, reason });
  const match = PATTERN.exec(url);
  if (match === null) throw refuse('not a valid FTP URL');
  const [, credentials, host, portWord, pathWord = ''] = match;
  const port = portWord === undefined ? undefined : Number(portWord);
  if (port !== undefined && (port < 1 || port > 65535)) throw refuse(`no port: ${portWord}`);
  const path = decodeText(pathWord);
  const [user, password] = splitCredentials(credentials);
  if (path === undefined) throw refuse('a path with wrong escapes or control characters');
  return {
    label,
    host: host.replace(/^\[(.*)\]$/, '$1'),
    path,
    ...(port === undefined ? {} : { port }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
  };
}

/** The folder that a URL of objects names, in a form to which keys can be appended. */
export function parseFtpFolderUrl(url: string): FtpLocation {
  const location = parseFtpUrl(url.replace(/[?;].*$/s, ''));
  const folder = location.path.replace(/\/+$/, '');
  return { ...location, path: folder === '' && location.path === '' ? '' : `${folder}/` };
}

function splitCredentials(
  credentials: string | undefined,
): readonly [string | undefined, string | undefined] {
  if (credentials === undefined) return [undefined, undefined];
  const colon = credentials.indexOf(':');
  if (colon < 0) return [decodeText(credentials), undefined];
  return [decodeText(credentials.slice(0, colon)), decodeText(credentials.slice(colon + 1))];
}

/** Undefined for what would break a line of the protocol. */
function decodeText(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
    return /[\x00-\x1f\x7f]/.test(decoded) ? undefined : decoded;
  } catch {
    return undefined;
  }
}
