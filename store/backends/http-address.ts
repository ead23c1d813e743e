/**
 * URLs of HTTP places: what is asked for, of whom, and as whom (spec/remote.md, "HTTP"). Nothing that is
 * secret leaves this module in an error.
 */
import { CasError } from '../../formats/errors.ts';
import { redacted } from '../location.ts';

export interface HttpLogin {
  readonly user: string;
  readonly password: string;
}

export interface HttpAddress {
  /** `http://host` or `https://host`, with the port if it is not the usual one. */
  readonly origin: string;
  /** Host name or address, IPv6 in brackets. */
  readonly host: string;
  /** Path and query, as they are sent. */
  readonly target: string;
  readonly login?: HttpLogin;
}

/** @throws CasError `USAGE` if the text is no URL of http or https */
export function parseHttpAddress(url: string): HttpAddress {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new CasError('USAGE', { subject: redacted(url), reason: 'not an HTTP URL' });
  }
  const { origin, hostname, pathname, search, username, password } = parsed;
  const isAnonymous = username === '' && password === '';
  return {
    origin,
    host: hostname,
    target: `${pathname}${search}`,
    ...(isAnonymous ? {} : { login: { user: decoded(username), password: decoded(password) } }),
  };
}

/** The URL of a store without query, parameters and slashes at the end: keys follow after a slash. */
export function folderUrl(url: string): string {
  return url.replace(/[?;].*$/s, '').replace(/\/+$/, '');
}

/** Value of an Authorization or Proxy-Authorization header. */
export function basicAuthorization({ user, password }: HttpLogin): string {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

/** A stray `%` stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
