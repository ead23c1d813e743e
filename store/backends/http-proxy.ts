/**
 * Which proxy leads to a host: as the setting says, else as the environment does, by the rules of curl
 * (spec/remote.md, "HTTP").
 */
import type { LocationSettings } from '../location-settings.ts';

type Environment = LocationSettings['environment'];

/** What is to be reached: `https:`, `example.com` (IPv6 in brackets), `8443`. */
export interface Destination {
  readonly protocol: string;
  readonly hostname: string;
  readonly port: string;
}

/**
 * URL of the proxy, undefined if there is none. It may hold a login.
 * @param settings `proxy` is a URL or `none`; it wins over the environment and its exceptions
 */
export function proxyFor(
  destination: Destination,
  { proxy, environment }: Pick<LocationSettings, 'proxy' | 'environment'>,
): string | undefined {
  if (proxy !== undefined) return proxy === 'none' || proxy === '' ? undefined : withScheme(proxy);
  if (isException(destination, variable(environment, 'no_proxy'))) return undefined;
  const scheme = destination.protocol.replace(/:$/, '');
  const found = variable(environment, `${scheme}_proxy`) || variable(environment, 'all_proxy');
  return found === '' ? undefined : withScheme(found);
}

/** The spelling in small letters wins. */
function variable(environment: Environment, name: string): string {
  return (environment[name] ?? environment[name.toUpperCase()] ?? '').trim();
}

function withScheme(proxy: string): string {
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

/** Whether a list such as `localhost,.example.com,10.0.0.0/8,[::1]` names the host. */
function isException({ hostname, port, protocol }: Destination, list: string): boolean {
  const host = withoutBrackets(hostname.toLowerCase()).replace(/\.$/, '');
  const actualPort = port || (protocol === 'https:' ? '443' : '80');
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === '') return false;
    if (entry === '*') return true;
    const { name, port: onlyPort } = parseEntry(entry.toLowerCase());
    if (onlyPort !== undefined && onlyPort !== actualPort) return false;
    if (name.includes('/')) return isInNetwork(host, name);
    return host === name || host.endsWith(`.${name}`);
  });
}

function parseEntry(entry: string): { readonly name: string; readonly port: string | undefined } {
  const match = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry);
  const name = withoutBrackets(match?.[1] ?? entry)
    .replace(/^\*?\./, '')
    .replace(/\.$/, '');
  return { name, port: match?.[2] };
}

function withoutBrackets(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

/** Networks of IPv4 only, `10.0.0.0/8`. */
function isInNetwork(host: string, network: string): boolean {
  const [base, bits] = network.split('/');
  const [address, first] = [ipv4Number(host), ipv4Number(base)];
  const length = /^\d{1,2}$/.test(bits) ? Number(bits) : 33;
  if (address === undefined || first === undefined || length > 32) return false;
  const size = 2 ** (32 - length);
  return Math.floor(address / size) === Math.floor(first / size);
}

function ipv4Number(text: string): number | undefined {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) return undefined;
  const parts = text.split('.').map(Number);
  return parts.some((part) => part > 255)
    ? undefined
    : parts.reduce((sum, part) => sum * 256 + part, 0);
}
