/**
 * Signatures for S3 (AWS Signature Version 4), made by Amazon's own library with Node's digests.
 * Used by s3-client.node.ts; why so, and what it costs: spec/decisions/0017.
 */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import type { S3CredentialSource } from './s3-credentials.node.ts';
import { loadOptional } from './s3-packages.node.ts';

export interface S3Unsigned {
  readonly method: string;
  /** With a port, if that is not the usual one. */
  readonly host: string;
  /** Escaped. */
  readonly path: string;
  /** Not escaped. */
  readonly query: Readonly<Record<string, string>>;
  /** In lower case; all of them are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body in hex. */
  readonly bodyDigest: string;
  readonly region: string;
  readonly time: Date;
}

/** @returns all headers of the request, signed */
export type S3Signer = (request: S3Unsigned) => Promise<Readonly<Record<string, string>>>;

/** Digests as the library wants them. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: unknown) {
    const isKeyed = typeof secret === 'string' || secret instanceof Uint8Array;
    this.#hash = isKeyed ? createHmac('sha256', secret) : createHash('sha256');
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {}
}

/** @throws CasError `UNSUPPORTED` if the library is not installed */
export async function openS3Signer(credentials: S3CredentialSource): Promise<S3Signer> {
  const { SignatureV4 } = await loadOptional(
    '@smithy/signature-v4',
    () => import('@smithy/signature-v4'),
  );
  const signer = new SignatureV4({
    service: 's3',
    region: 'us-east-1',
    credentials: () => credentials.current(),
    sha256: Sha256,
    // Paths are escaped already, and keys may be anything.
    uriEscapePath: false,
    applyChecksum: false,
  });
  return async ({ method, host, path, query, headers, bodyDigest, region, time }) => {
    const signed = await signer.sign(
      {
        method,
        protocol: 'https:',
        hostname: host,
        path,
        query: { ...query },
        headers: { ...headers, host, 'x-amz-content-sha256': bodyDigest },
      },
      { signingRegion: region, signingDate: time },
    );
    return signed.headers;
  };
}
