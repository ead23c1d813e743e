/**
 * From the locator of a place elsewhere to its storage: the registry of schemes. Each is loaded when it
 * is needed. The casync protocol (ssh and helper programs) is no such storage: see store/peer/.
 */
import { CasError } from '../formats/errors.ts';
import type { ObjectBackend } from './backend.ts';
import { type Locator, redacted } from './location.ts';
import type { LocationSettings } from './location-settings.ts';
import type { RemoteFile } from './remote-file.ts';

export type UrlLocator = Extract<Locator, { readonly kind: 'url' }>;

interface Scheme {
  readonly openBackend: (url: string, settings: LocationSettings) => Promise<ObjectBackend>;
  readonly openFile: (url: string, settings: LocationSettings) => Promise<RemoteFile>;
}

async function loadScheme({ scheme, url }: UrlLocator): Promise<Scheme> {
  switch (scheme) {
    case 'http':
    case 'https': {
      const { openHttpBackend, openHttpFile } = await import('./backends/http.node.ts');
      return { openBackend: openHttpBackend, openFile: openHttpFile };
    }
    case 's3':
    case 's3+http':
    case 's3+https': {
      const { openS3Backend, openS3File } = await import('./backends/s3.node.ts');
      return { openBackend: openS3Backend, openFile: openS3File };
    }
    case 'sftp': {
      const { openSftpBackend, openSftpFile } = await import('./backends/sftp.node.ts');
      return { openBackend: openSftpBackend, openFile: openSftpFile };
    }
    case 'ftp': {
      const { openFtpBackend, openFtpFile } = await import('./backends/ftp.node.ts');
      return { openBackend: openFtpBackend, openFile: openFtpFile };
    }
    default:
      throw new CasError('UNSUPPORTED', {
        subject: redacted(url),
        reason: `Nothing speaks ${scheme}.`,
      });
  }
}

/**
 * Opens the folder that a URL names, for chunks: query and parameters do not count.
 * @throws CasError `UNSUPPORTED`; StorageError
 */
export async function openBackendAt(
  locator: UrlLocator,
  settings: LocationSettings,
): Promise<ObjectBackend> {
  const { openBackend } = await loadScheme(locator);
  return openBackend(locator.url, settings);
}

/** Opens the index or archive that a URL names. @throws CasError `UNSUPPORTED`; StorageError */
export async function openFileAt(
  locator: UrlLocator,
  settings: LocationSettings,
): Promise<RemoteFile> {
  const { openFile } = await loadScheme(locator);
  return openFile(locator.url, settings);
}
