/**
 * Where a locator of S3 points: service, bucket and key, and the requests' host and path
 * (spec/remote.md, "S3"). Text only.
 */
import { CasError } from '../../formats/errors.ts';
import { redacted } from '../location.ts';

/** What a locator says. */
export interface S3Place {
  readonly bucket: string;
  /** Of a folder without a slash at the end; empty for the whole bucket. */
  readonly key: string;
  /** Of the service, if the locator names one. */
  readonly endpoint?: string;
  /** Only where both stand in the locator. */
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
}

export interface S3ServiceOptions {
  /** `https://host[:port][/path]`; Amazon's if left out. */
  readonly endpoint?: string | undefined;
  readonly pathStyle?: boolean | undefined;
}

/** The service of one bucket, as requests need it. */
export interface S3Service {
  /** `https://host[:port]` for a region. */
  origin(region: string): string;
  /** What paths begin with: empty, or with a slash at its beginning and none at its end. */
  readonly path: string;
}

const LOCATOR = /^s3(?:\+(https?))?:\/\/(?:([^/@]*)@)?([^/]*)(?:\/(.*))?$/s;
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/;
const HOST = /^[A-Za-z0-9._-]+(?::[0-9]{1,5})?$|^\[[0-9a-fA-F:.]+\](?::[0-9]{1,5})?$/;
const AMAZON = /(?:^|\.)amazonaws\.com(?:\.cn)?$/;
const MAX_KEY_LENGTH = 1024;

function unfit(url: string, reason: string): CasError {
  return new CasError('USAGE', { subject: redacted(url), reason });
}

/** The folder of chunks that a URL names. @throws CasError `USAGE` */
export function parseS3Folder(url: string): S3Place {
  return parsePlace(url.replace(/[?;].*$/s, '').replace(/\/+$/, ''));
}

/** The index or archive that a URL names. @throws CasError `USAGE` */
export function parseS3File(url: string): S3Place {
  if (/[?;]/.test(url)) throw unfit(url, 'Objects of S3 have no query.');
  const place = parsePlace(url);
  if (place.key === '' || place.key.endsWith('/')) throw unfit(url, 'This names no object.');
  return place;
}

function parsePlace(url: string): S3Place {
  const [, transport, user, host, path = ''] = LOCATOR.exec(url) ?? [];
  if (host === undefined) throw unfit(url, 'This is no place of S3.');
  const [bucket, key] = transport === undefined ? [host, path] : splitAtSlash(path);
  if (!BUCKET.test(bucket)) throw unfit(url, 'This names no bucket of S3.');
  if (transport !== undefined && !HOST.test(host)) throw unfit(url, 'This names no host.');
  if (!isGoodKey(key)) throw unfit(url, 'This is no name of S3.');
  const endpoint = transport === undefined ? {} : { endpoint: `${transport}://${host}` };
  return { bucket, key, ...endpoint, ...(user === undefined ? {} : keysOf(url, user)) };
}

function splitAtSlash(path: string): readonly [string, string] {
  const slash = path.indexOf('/');
  return slash < 0 ? [path, ''] : [path.slice(0, slash), path.slice(slash + 1)];
}

/** Programs on the way may resolve dots; XML cannot hold control characters. */
function isGoodKey(key: string): boolean {
  const hasDots = key.split('/').some((name) => name === '.' || name === '..');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is refused.
  return !hasDots && key.length <= MAX_KEY_LENGTH && !/[\0-\x1f\x7f]/.test(key);
}

function keysOf(url: string, user: string): Pick<S3Place, 'accessKeyId' | 'secretAccessKey'> {
  const colon = user.indexOf(':');
  try {
    const accessKeyId = decodeURIComponent(user.slice(0, colon));
    const secretAccessKey = decodeURIComponent(user.slice(colon + 1));
    if (colon > 0 && secretAccessKey !== '') return { accessKeyId, secretAccessKey };
  } catch {
    // Said below.
  }
  throw unfit(url, 'Before @ belong an access key and its secret, with a colon between them.');
}

/** @throws CasError `USAGE` if the endpoint is none */
export function s3Service(bucket: string, { endpoint, pathStyle }: S3ServiceOptions): S3Service {
  // A certificate for all names at a host does not cover names with dots.
  const hasBucketInPath = pathStyle ?? (bucket.includes('.') || !isAmazons(endpoint));
  const inPath = hasBucketInPath ? `/${bucket}` : '';
  const inHost = hasBucketInPath ? '' : `${bucket}.`;
  if (endpoint === undefined) {
    return {
      path: inPath,
      origin: (region) => {
        const china = region.startsWith('cn-') ? '.cn' : '';
        return `https://${inHost}s3.${region}.amazonaws.com${china}`;
      },
    };
  }
  const { protocol, host, pathname } = endpointUrl(endpoint);
  const origin = `${protocol}//${inHost}${host}`;
  return { path: pathname.replace(/\/+$/, '') + inPath, origin: () => origin };
}

function isAmazons(endpoint: string | undefined): boolean {
  return endpoint === undefined || AMAZON.test(endpointUrl(endpoint).hostname);
}

function endpointUrl(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isFit = url !== undefined && /^https?:$/.test(url.protocol);
  if (isFit && url.username === '' && url.search === '' && url.hash === '') return url;
  throw unfit(endpoint, 'The endpoint of S3 must look like https://host:port.');
}

const PLAIN_PATH = /^[A-Za-z0-9_.~/-]*$/;

/** A key as a path: as signatures need it, everything but letters, digits and `_.~/-` is escaped. */
export function encodeS3Key(key: string): string {
  if (PLAIN_PATH.test(key)) return key;
  return key.split('/').map(encodeS3Word).join('/');
}

/** A name or value of a query, escaped the same way. */
export function encodeS3Word(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
