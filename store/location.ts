/**
 * What a word that names an archive, index or store means: its place, its kind, and the store that
 * belongs to it (spec/command-line.md, "Locators"). Text only; nothing is opened.
 */

/** What a name's suffix says about its content. */
export type SuffixKind = 'archive' | 'archive-index' | 'blob-index';

export type Locator =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string; readonly scheme: string }
  /** `host` as given to ssh, with the user if there is one. */
  | { readonly kind: 'ssh'; readonly host: string; readonly path: string };

/** A place on another machine, or behind a protocol. */
export type Place = Exclude<Locator, { readonly kind: 'path' }>;

const LOCAL = /^(?:\/|\.\/|\.\.?$)/;
/** As the original has it, and with everything in the user and password that may stand there. */
const URL_PATTERN =
  /^([a-z][a-z0-9+.-]*):\/\/(?:[A-Za-z0-9_.~!$&'()*+,=%:-]*@)?[A-Za-z0-9_.@:[\]-]+(?:[/;?]|$)/;
const SSH_PATTERN = /^((?:[A-Za-z0-9_.-]+@)?[A-Za-z0-9_.-]+):(.+)$/s;
const FILE_URL = /^file:\/\/(?:localhost)?(\/.*)$/s;
const DEFAULT_STORE = 'default.castr';

const SUFFIXES: readonly (readonly [string, SuffixKind])[] = [
  ['.catar', 'archive'],
  ['.caidx', 'archive-index'],
  ['.caibx', 'blob-index'],
];

/** Where the word points. Every word is at least a path. */
export function classifyLocator(word: string): Locator {
  const filePath = pathOfFileUrl(word);
  if (filePath !== undefined) return { kind: 'path', path: filePath };
  if (LOCAL.test(word)) return { kind: 'path', path: word };
  const scheme = URL_PATTERN.exec(word)?.[1];
  if (scheme !== undefined) return { kind: 'url', url: word, scheme };
  const ssh = SSH_PATTERN.exec(word);
  if (ssh !== null) return { kind: 'ssh', host: ssh[1], path: ssh[2] };
  return { kind: 'path', path: word };
}

/** A `file:` URL whose escapes are not those of a path stays a URL, of a scheme nobody opens. */
function pathOfFileUrl(word: string): string | undefined {
  const path = FILE_URL.exec(word)?.[1];
  if (path === undefined) return undefined;
  try {
    const decoded = decodeURIComponent(path);
    return decoded.includes('\0') ? undefined : decoded;
  } catch {
    return undefined;
  }
}

/**
 * The kind that the suffix says; of a URL, query and parameters do not count. A file whose name is
 * nothing but a suffix has none.
 */
export function suffixKind(word: string): SuffixKind | undefined {
  const locator = classifyLocator(word);
  const isUrl = locator.kind === 'url';
  const name = isUrl ? withoutQuery(locator.url) : word;
  const found = SUFFIXES.find(([suffix]) => name.endsWith(suffix));
  if (found === undefined) return undefined;
  const before = name.at(-found[0].length - 1);
  return before === undefined || (before === '/' && !isUrl) ? undefined : found[1];
}

function withoutQuery(url: string): string {
  const query = url.lastIndexOf('?');
  const end = query >= 0 ? query : url.lastIndexOf(';');
  return end < 0 ? url : url.slice(0, end);
}

/** The store of an index for which none was named: `default.castr` beside it. */
export function defaultStore(indexWord: string): string {
  const locator = classifyLocator(indexWord);
  switch (locator.kind) {
    case 'path':
      return besides(locator.path);
    case 'ssh':
      return `${locator.host}:${besides(locator.path)}`;
    case 'url':
      return storeOfUrl(withoutQuery(locator.url), locator.scheme.length + '://'.length);
  }
}

function besides(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1) + DEFAULT_STORE;
}

function storeOfUrl(url: string, hostOffset: number): string {
  const hostEnd = url.indexOf('/', hostOffset);
  return hostEnd < 0 ? `${url}/${DEFAULT_STORE}` : besides(url);
}

/** The word as it may be shown: without a user or password, and without a query, which may be secret. */
export function redacted(word: string): string {
  const locator = classifyLocator(word);
  if (locator.kind !== 'url') return word;
  const { scheme, url } = locator;
  const rest = url.slice(scheme.length + '://'.length).replace(/[?;].*$/s, '');
  const slash = rest.indexOf('/');
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const path = slash < 0 ? '' : rest.slice(slash);
  return `${scheme}://${authority.slice(authority.lastIndexOf('@') + 1)}${path}`;
}

/** A place as it may be shown. */
export function placeLabel(place: Place): string {
  return place.kind === 'url' ? redacted(place.url) : `${place.host}:${place.path}`;
}
