/**
 * Credentials for S3: from the locator, the settings, the environment, or from the chain that all of
 * Amazon's tools have (profiles, single sign-on, web identity, roles of containers and machines), which
 * their library walks. Renewed before they expire. Used by s3-client.node.ts.
 */
import { StorageError } from '../errors.ts';
import type { LocationSettings } from '../location-settings.ts';
import { loadOptional } from './s3-packages.node.ts';
import { chosenProfile } from './s3-profile.node.ts';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** When they become worthless, if they do. */
  readonly expiration?: Date | undefined;
}

/** Credentials that may be used now; the same promise for all who ask at a time. */
export interface S3CredentialSource {
  current(): Promise<S3Credentials>;
  /** What was given is not good any more, although it should be. */
  discard(): void;
}

/** So long before their end credentials are not used any more. */
const RENEW_MS = 5 * 60_000;
const MAX_REASON_LENGTH = 300;

/** @param own credentials that stand in the locator */
export function openS3Credentials(
  label: string,
  own: Partial<S3Credentials>,
  settings: LocationSettings,
): S3CredentialSource {
  const found = complete(own) ?? complete(settings) ?? ofEnvironment(settings);
  if (found === undefined) return new RenewedCredentials(label, settings);
  const current = Promise.resolve(found);
  return { current: () => current, discard: () => {} };
}

function complete(some: Partial<S3Credentials>): S3Credentials | undefined {
  const { accessKeyId, secretAccessKey, sessionToken } = some;
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

/** As all the tools have it: whoever names a profile means that, not the environment. */
function ofEnvironment(settings: LocationSettings): S3Credentials | undefined {
  if (chosenProfile(settings) !== undefined) return undefined;
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = settings.environment;
  return complete({
    ...(AWS_ACCESS_KEY_ID ? { accessKeyId: AWS_ACCESS_KEY_ID } : {}),
    ...(AWS_SECRET_ACCESS_KEY ? { secretAccessKey: AWS_SECRET_ACCESS_KEY } : {}),
    ...(AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}),
  });
}

class RenewedCredentials implements S3CredentialSource {
  readonly #label: string;
  readonly #settings: LocationSettings;
  #provide: (() => Promise<S3Credentials>) | undefined;
  #given: Promise<S3Credentials> | undefined;
  #endMs = Number.POSITIVE_INFINITY;

  constructor(label: string, settings: LocationSettings) {
    this.#label = label;
    this.#settings = settings;
  }

  current(): Promise<S3Credentials> {
    if (Date.now() > this.#endMs - RENEW_MS) this.discard();
    this.#given ??= this.#renewed();
    return this.#given;
  }

  discard(): void {
    this.#given = undefined;
    // It remembers what it gave.
    this.#provide = undefined;
    this.#endMs = Number.POSITIVE_INFINITY;
  }

  async #renewed(): Promise<S3Credentials> {
    try {
      this.#provide ??= await this.#openChain();
      const credentials = await this.#provide();
      const endMs = credentials.expiration?.getTime();
      // What is short-lived is asked for again shortly before its end, not for each request.
      if (endMs !== undefined) this.#endMs = Math.max(endMs, Date.now() + RENEW_MS + 1000);
      return credentials;
    } catch (error) {
      // Asked again next time.
      this.discard();
      throw this.#failure(error);
    }
  }

  async #openChain(): Promise<() => Promise<S3Credentials>> {
    const { environment } = this.#settings;
    const { fromNodeProviderChain } = await loadOptional(
      '@aws-sdk/credential-providers',
      () => import('@aws-sdk/credential-providers'),
    );
    const profile = chosenProfile(this.#settings);
    const { AWS_SHARED_CREDENTIALS_FILE: filepath, AWS_CONFIG_FILE: configFilepath } = environment;
    return fromNodeProviderChain({
      ...(profile ? { profile } : {}),
      ...(filepath ? { filepath } : {}),
      ...(configFilepath ? { configFilepath } : {}),
    });
  }

  #failure(error: unknown): unknown {
    const name = error instanceof Error ? error.name : '';
    if (!(error instanceof Error) || !/^(?:Credentials|Token)ProviderError$/.test(name))
      return error;
    // Commands that print credentials may have any words.
    const isOfCommand = /command failed|exited with/i.test(error.message);
    const said = isOfCommand ? 'the command for credentials failed' : oneLine(error.message);
    const reason = `No credentials in the settings, the environment, profiles or roles: ${said}`;
    return new StorageError('DENIED', { subject: this.#label, reason });
  }
}

function oneLine(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, MAX_REASON_LENGTH);
}
