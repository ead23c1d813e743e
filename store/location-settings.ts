/**
 * What is known of a place besides its locator: from the configuration, the environment and options.
 * Every kind of storage takes from it what concerns it (spec/remote.md, "Settings").
 */
import type { RetryEvent } from './wrap/retry.ts';

export interface LocationSettings {
  /** Environment variables: proxies, programs, credentials. */
  readonly environment: Readonly<Record<string, string | undefined>>;

  /** Credentials for HTTP, FTP; those in a URL win. For HTTP a netrc file comes last. */
  readonly user?: string;
  readonly password?: string;
  /** Sent as bearer token over HTTP. */
  readonly token?: string;
  /** Further request headers for HTTP. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Proxy URL, or `none`; by default what the environment says. */
  readonly proxy?: string;
  /** Paths of PEM files: whom to trust besides the usual, and who we are. */
  readonly certificateAuthorities?: string;
  readonly clientCertificate?: string;
  readonly clientKey?: string;

  /** S3. Keys that are not given here come from the usual chain of credentials. */
  readonly region?: string;
  readonly profile?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  /** `https://host[:port]` of a service that is not Amazon's. */
  readonly endpoint?: string;
  /** Whether the bucket stands in the path; by default for all endpoints that are not Amazon's. */
  readonly pathStyle?: boolean;

  /** ssh and SFTP: the program to run here, and the one there. */
  readonly sshProgram?: string;
  readonly remoteProgram?: string;
  /** Words behind each of them, before all others. */
  readonly sshArguments?: readonly string[];
  readonly remoteArguments?: readonly string[];

  /** For a casync there, 0 to 7; where the user has chosen one. */
  readonly logLevel?: number;

  /** How long nothing may happen on a connection, in milliseconds. */
  readonly timeoutMs?: number;
  /** How often something is tried in all before it fails. */
  readonly attemptCount?: number;
  /** Requests under way at a time, at most. */
  readonly concurrency?: number;
  /** Bytes per second, over all connections to the place. */
  readonly rateLimit?: number;

  /** Told before something is tried again. The only part that is no plain data. */
  readonly onRetry?: (event: RetryEvent) => void;
}
