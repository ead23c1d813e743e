/** Where the server listens, as text: `ADDRESS:PORT`, `[IPv6]:PORT`, `:PORT` or `unix:PATH`. */
import { CasError } from '../../formats/errors.ts';

export type ListenAddress =
  /** Without a host: all addresses of the machine. */
  { readonly host?: string; readonly port: number } | { readonly path: string };

const UNIX = 'unix:';
const PATTERN = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]*)):(\d{1,5})$/;
const HIGHEST_PORT = 65535;

/** @throws CasError `USAGE` */
export function parseListenAddress(text: string): ListenAddress {
  if (text.startsWith(UNIX) && text.length > UNIX.length) return { path: text.slice(UNIX.length) };
  const match = PATTERN.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > HIGHEST_PORT) {
    throw new CasError('USAGE', { subject: text, reason: 'not ADDRESS:PORT or unix:PATH' });
  }
  const host = match[1] ?? match[2];
  return host === '' ? { port } : { host, port };
}

/** The URL of what a server listens on. @param host as the system says it */
export function listenUrl(scheme: 'http' | 'https', host: string, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
