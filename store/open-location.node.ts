/**
 * From the locator of a place elsewhere to its storage: the registry of schemes. Each is loaded when it
 * is needed. The casync protocol (ssh and helper programs) is no such storage: see store/peer/.
 */
import { CasError } from '../formats/errors.ts';
import type { ObjectBackend } from './backend.ts';
import { type Locator, redacted } from './location.ts';
import type { LocationSettings } from './location-settings.ts';
import type { RemoteFile } from './remote-file.ts';
import { SYSTEM_CLOCK } from './wrap/clock.ts';
import { openCoalescingBackend } from './wrap/coalesce.ts';
import { openLimitedBackend } from './wrap/limit.ts';
import { openRetryingBackend, Retrier } from './wrap/retry.ts';
import { openRetryingFile } from './wrap/retry-file.ts';
import { retryOptions } from './wrap/retry-options.ts';
import { openThrottledBackend, openThrottledFile, Throttle } from './wrap/throttle.ts';

export type UrlLocator = Extract<Locator, { readonly kind: 'url' }>;

interface Scheme {
  readonly openBackend: (url: string, settings: LocationSettings) => Promise<ObjectBackend>;
  readonly openFile: (url: string, settings: LocationSettings) => Promise<RemoteFile>;
}

const KNOWN_SCHEMES: ReadonlySet<string> = new Set([
  ...['http', 'https', 's3', 's3+http', 's3+https', 'sftp', 'ftp'],
]);

/** Whether we speak a scheme ourselves. */
export function isKnownScheme(scheme: string): boolean {
  return KNOWN_SCHEMES.has(scheme);
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
 * Opens the folder that a URL names, for chunks: query and parameters do not count. It keeps to the
 * rate limit and to what the place can do at a time, tries again what may pass, and asks once for what
 * is wanted twice.
 * @throws CasError `UNSUPPORTED`; StorageError
 */
export async function openBackendAt(
  locator: UrlLocator,
  settings: LocationSettings,
): Promise<ObjectBackend> {
  const { openBackend } = await loadScheme(locator);
  const backend = await openRetried(locator, settings, openBackend);
  const { rateLimit, concurrency } = settings;
  const throttled =
    rateLimit === undefined
      ? backend
      : openThrottledBackend(backend, new Throttle(rateLimit, SYSTEM_CLOCK));
  const limited = openLimitedBackend(throttled, {
    now: SYSTEM_CLOCK.now,
    ...(concurrency === undefined ? {} : { concurrency }),
  });
  return openCoalescingBackend(openRetryingBackend(limited, retryOptions(settings)));
}

/**
 * Opens the index or archive that a URL names, with the same rules.
 * @throws CasError `UNSUPPORTED`; StorageError
 */
export async function openFileAt(
  locator: UrlLocator,
  settings: LocationSettings,
): Promise<RemoteFile> {
  const { openFile } = await loadScheme(locator);
  const file = await openRetried(locator, settings, openFile);
  const { rateLimit } = settings;
  const throttled =
    rateLimit === undefined ? file : openThrottledFile(file, new Throttle(rateLimit, SYSTEM_CLOCK));
  return openRetryingFile(throttled, retryOptions(settings));
}

function openRetried<T>(
  { url }: UrlLocator,
  settings: LocationSettings,
  open: (url: string, settings: LocationSettings) => Promise<T>,
): Promise<T> {
  const retrier = new Retrier(redacted(url), retryOptions(settings));
  return retrier.run(() => open(url, settings), undefined);
}
