/**
 * What all requests to one HTTP place have in common: whom we are, whom we trust, the way there
 * (spec/remote.md, "HTTP"). Opened for each store, index and archive.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CasError } from '../../formats/errors.ts';
import { redacted } from '../location.ts';
import type { LocationSettings } from '../location-settings.ts';
import { systemErrorCode, toStorageError } from '../system-error.node.ts';
import { basicAuthorization, type HttpAddress, parseHttpAddress } from './http-address.ts';
import {
  type Connections,
  type HttpProxy,
  openConnections,
  type UndiciModule,
} from './http-connections.node.ts';
import {
  AbortGroup,
  type Destination,
  exchange,
  type HttpRequest,
  type Receiver,
} from './http-exchange.node.ts';
import type { Concern } from './http-failure.node.ts';
import { loginFromNetrc } from './http-netrc.ts';
import { proxyFor } from './http-proxy.ts';
import { openTlsContexts, type TlsContexts } from './http-tls.node.ts';

const TIMEOUT_MS = 60_000;
/** Sent to everybody. Compression on the way would only hide lengths. */
const COMMON_HEADERS = ['user-agent', 'casync', 'accept-encoding', 'identity'];
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

export class HttpClient {
  readonly address: HttpAddress;
  /** URL, redacted. */
  readonly label: string;
  readonly #undici: UndiciModule;
  readonly #settings: LocationSettings;
  readonly #tls: TlsContexts;
  readonly #own: Destination;
  readonly #others = new Map<string, Destination>();
  readonly #abortGroups = new WeakMap<AbortSignal, AbortGroup>();
  readonly #destination = (origin: string | undefined): Destination =>
    origin === undefined ? this.#own : this.#other(origin);

  constructor(parts: HttpClientParts) {
    this.address = parts.address;
    this.label = parts.label;
    this.#undici = parts.undici;
    this.#settings = parts.settings;
    this.#tls = openTlsContexts(parts.settings);
    const { origin } = parts.address;
    const connections = this.#connect(origin, true);
    this.#own = { origin, connections, headers: [...COMMON_HEADERS, ...parts.headers] };
  }

  /** Makes a request. @throws CasError; what the receiver throws; the reason of the signal */
  async send(
    request: HttpRequest,
    receiver: Receiver,
    concern: Concern,
    signal?: AbortSignal,
  ): Promise<void> {
    signal?.throwIfAborted();
    const options = { request, receiver, concern, destination: this.#destination };
    return exchange(options, signal && this.#abortGroup(signal));
  }

  async close(): Promise<void> {
    const all = [this.#own, ...this.#others.values()];
    await Promise.all(all.map(({ connections }) => connections.close()));
  }

  #abortGroup(signal: AbortSignal): AbortGroup {
    const known = this.#abortGroups.get(signal);
    if (known !== undefined) return known;
    const group = new AbortGroup(signal);
    this.#abortGroups.set(signal, group);
    return group;
  }

  #other(origin: string): Destination {
    const known = this.#others.get(origin);
    if (known !== undefined) return known;
    const connections = this.#connect(origin, false);
    const other = { origin, connections, headers: COMMON_HEADERS };
    this.#others.set(origin, other);
    return other;
  }

  /** @param isOwn whether it may be told who we are */
  #connect(origin: string, isOwn: boolean): Connections {
    const proxy = proxyOf(origin, this.#settings);
    const { timeoutMs = TIMEOUT_MS } = this.#settings;
    return openConnections(this.#undici, origin, {
      timeoutMs,
      secureContext: isOwn ? this.#tls.own : this.#tls.other,
      proxySecureContext: this.#tls.other,
      ...(proxy === undefined ? {} : { proxy }),
    });
  }
}

interface HttpClientParts {
  readonly undici: UndiciModule;
  readonly address: HttpAddress;
  readonly label: string;
  readonly settings: LocationSettings;
  /** For this place only: credentials and what the settings say. */
  readonly headers: readonly string[];
}

/** @throws CasError `USAGE` if the URL or a setting is malformed; StorageError for unreadable files */
export async function openHttpClient(url: string, settings: LocationSettings): Promise<HttpClient> {
  const label = redacted(url);
  const address = parseHttpAddress(url);
  const headers = await ownHeaders(address, label, settings);
  const undici = await import('undici');
  return new HttpClient({ undici, address, label, settings, headers });
}

async function ownHeaders(
  address: HttpAddress,
  label: string,
  settings: LocationSettings,
): Promise<readonly string[]> {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(settings.headers ?? {})) {
    headers.set(name.toLowerCase(), value);
  }
  const authorization = await authorizationFor(address, settings);
  if (authorization !== undefined) {
    const isFromUrl = address.login !== undefined;
    if (isFromUrl || !headers.has('authorization')) headers.set('authorization', authorization);
  }
  for (const [name, value] of headers) {
    if (TOKEN.test(name) && FIELD_VALUE.test(value)) continue;
    const reason = `The header ${JSON.stringify(name)} cannot be sent`;
    throw new CasError('USAGE', { subject: label, reason });
  }
  return [...headers].flat();
}

async function authorizationFor(
  { login, host }: HttpAddress,
  { user, password, token, environment }: LocationSettings,
): Promise<string | undefined> {
  if (login !== undefined) return basicAuthorization(login);
  if (token !== undefined) return `Bearer ${token}`;
  if (user !== undefined || password !== undefined) {
    return basicAuthorization({ user: user ?? '', password: password ?? '' });
  }
  const found = loginFromNetrc(await netrcText(environment), host);
  return found && basicAuthorization(found);
}

async function netrcText(environment: LocationSettings['environment']): Promise<string> {
  const { NETRC, HOME } = environment;
  const path = NETRC || (HOME ? join(HOME, '.netrc') : undefined);
  if (path === undefined) return '';
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = systemErrorCode(error);
    // Nobody has asked for the usual one.
    if (code === 'ENOENT' || code === 'ENOTDIR' || (!NETRC && code === 'EACCES')) return '';
    throw toStorageError(error, path, 'read');
  }
}

function proxyOf(origin: string, settings: LocationSettings): HttpProxy | undefined {
  const url = proxyFor(new URL(origin), settings);
  if (url === undefined) return undefined;
  const subject = redacted(url);
  if (!/^https?:/i.test(url)) {
    const reason = 'Only proxies that speak HTTP can be used';
    throw new CasError('UNSUPPORTED', { subject, reason });
  }
  const address = parseHttpAddress(url);
  return {
    origin: address.origin,
    ...(address.login === undefined ? {} : { authorization: basicAuthorization(address.login) }),
  };
}
