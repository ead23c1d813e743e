/**
 * Whom a client trusts, and who it is: certificates from files (spec/remote.md, "HTTP"). The usual
 * authorities are those of the machine, where it keeps them in one file, else those of Node. Read when
 * the first encrypted connection is made: it takes some 20 ms.
 */
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { StorageError } from '../errors.ts';
import type { LocationSettings } from '../location-settings.ts';
import { systemErrorCode, toStorageError } from '../system-error.node.ts';

/** Where Linux distributions keep the authorities that the machine trusts. */
const MACHINE_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

export interface TlsContexts {
  /** For the place itself, which is shown our certificate. @throws StorageError */
  readonly own: () => SecureContext;
  /** For places that it redirects to, and for proxies. @throws StorageError */
  readonly other: () => SecureContext;
}

/** Both are made once, when they are needed. */
export function openTlsContexts(settings: LocationSettings): TlsContexts {
  const other = once(() => context(settings, {}));
  if (settings.clientCertificate === undefined) return { own: other, other };
  const { clientCertificate, clientKey = clientCertificate } = settings;
  const own = once(() =>
    context(settings, { cert: readPem(clientCertificate), key: readPem(clientKey) }),
  );
  return { own, other };
}

function context(
  settings: LocationSettings,
  identity: { readonly cert?: string; readonly key?: string },
): SecureContext {
  const { certificateAuthorities, clientCertificate } = settings;
  const ca = [...usualAuthorities(settings.environment)];
  if (certificateAuthorities !== undefined) ca.push(readPem(certificateAuthorities));
  try {
    return createSecureContext({ ...identity, ca });
  } catch (error) {
    const subject = (identity.cert && clientCertificate) ?? certificateAuthorities;
    throw new StorageError('IO', {
      ...(subject === undefined ? {} : { subject }),
      reason: 'not a certificate and its key in PEM form',
      cause: error,
    });
  }
}

function usualAuthorities(environment: LocationSettings['environment']): readonly string[] {
  const { SSL_CERT_FILE, NODE_EXTRA_CA_CERTS } = environment;
  const further = NODE_EXTRA_CA_CERTS ? [readPem(NODE_EXTRA_CA_CERTS)] : [];
  if (SSL_CERT_FILE) return [readPem(SSL_CERT_FILE), ...further];
  for (const path of MACHINE_FILES) {
    try {
      return [readFileSync(path, 'utf8'), ...further];
    } catch (error) {
      if (systemErrorCode(error) === undefined) throw error;
    }
  }
  return [...rootCertificates, ...further];
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw toStorageError(error, path, 'read');
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
