/** The files that TLS needs, read at the start and again when the operator says so. */
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureVersion } from 'node:tls';
import { toStorageError } from '../../../store/system-error.node.ts';
import { PipelineError } from '../../errors.ts';

/** Paths of PEM files. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  /** Whoever has no certificate of these authorities is turned away in the handshake. */
  readonly clientAuthorities?: string;
}

export interface TlsSettings {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly minVersion: SecureVersion;
  readonly ca?: Buffer;
  readonly requestCert?: boolean;
  readonly rejectUnauthorized?: boolean;
}

/** @throws StorageError; CasError `USAGE` if certificate and key are not usable */
export function readTlsSettings({ certificate, key, clientAuthorities }: TlsFiles): TlsSettings {
  const settings: TlsSettings = {
    cert: readPem(certificate),
    key: readPem(key),
    minVersion: 'TLSv1.2',
    ...(clientAuthorities === undefined
      ? {}
      : { ca: readPem(clientAuthorities), requestCert: true, rejectUnauthorized: true }),
  };
  try {
    createSecureContext(settings);
  } catch (cause) {
    const reason = 'certificate, key or client authorities cannot be used';
    throw new PipelineError('USAGE', { subject: certificate, reason, cause });
  }
  return settings;
}

function readPem(path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw toStorageError(error, path, 'read');
  }
  // OpenSSL takes a file without any certificate for none.
  if (bytes.includes('-----BEGIN ')) return bytes;
  throw new PipelineError('USAGE', { subject: path, reason: 'not a PEM file' });
}
