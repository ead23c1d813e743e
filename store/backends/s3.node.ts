/**
 * Objects, indexes and archives in buckets: `s3://BUCKET/KEY` at Amazon's or the configured service,
 * `s3+http(s)://HOST/BUCKET/KEY` at any other (spec/remote.md, "S3").
 */
import type { ObjectBackend } from '../backend.ts';
import { redacted } from '../location.ts';
import type { LocationSettings } from '../location-settings.ts';
import type { RemoteFile } from '../remote-file.ts';
import { retryOptions } from '../wrap/retry-options.ts';
import { parseS3File, parseS3Folder, type S3Place, s3Service } from './s3-address.ts';
import { S3Client } from './s3-client.node.ts';
import { openS3Credentials } from './s3-credentials.node.ts';
import { openS3ObjectFile } from './s3-file.node.ts';
import { openS3Objects } from './s3-objects.node.ts';
import { readS3Profile } from './s3-profile.node.ts';
import { openS3Signer } from './s3-signer.node.ts';
import { openS3Transport } from './s3-transport.node.ts';

/** The region of buckets that nobody has said anything of. Services tell where they are. */
const DEFAULT_REGION = 'us-east-1';

/** @param url of the folder that holds the objects @throws CasError `USAGE`, `UNSUPPORTED` */
export async function openS3Backend(
  url: string,
  settings: LocationSettings,
): Promise<ObjectBackend> {
  const place = parseS3Folder(url);
  const client = await openClient(url, place, settings);
  return openS3Objects(client, { folder: place.key, retry: retryOptions(settings) });
}

/** @param url of one index or archive @throws CasError `USAGE`, `UNSUPPORTED` */
export async function openS3File(url: string, settings: LocationSettings): Promise<RemoteFile> {
  const place = parseS3File(url);
  const client = await openClient(url, place, settings);
  return openS3ObjectFile(client, { key: place.key, retry: retryOptions(settings) });
}

async function openClient(
  url: string,
  place: S3Place,
  settings: LocationSettings,
): Promise<S3Client> {
  const label = redacted(url).replace(/\/+$/, '');
  const { environment, pathStyle } = settings;
  const profile = await readS3Profile(settings);
  const endpoint =
    place.endpoint ||
    settings.endpoint ||
    environment.AWS_ENDPOINT_URL_S3 ||
    environment.AWS_ENDPOINT_URL ||
    profile.endpoint ||
    undefined;
  const region =
    settings.region ||
    environment.AWS_REGION ||
    environment.AWS_DEFAULT_REGION ||
    profile.region ||
    DEFAULT_REGION;
  const service = s3Service(place.bucket, { endpoint, pathStyle });
  const credentials = openS3Credentials(label, place, settings);
  const sign = await openS3Signer(credentials);
  const transport = await openS3Transport(label, settings);
  const { bucket } = place;
  return new S3Client({ label, bucket, service, region, credentials, sign, transport });
}
