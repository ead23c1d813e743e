/**
 * Patterns for locations in a configuration file (spec/remote.md, "Settings"). They are compared with
 * what a locator means, not with how it is written: `https://EXAMPLE.org:443/a/../b` is
 * `https://example.org/b`, and whatever stands before an `@` is no host.
 */
import { classifyLocator } from '../../store/location.ts';

export interface LocationPattern {
  /** The larger, the more is said of the places: settings of the largest win. */
  readonly weight: number;
  matches(locator: string): boolean;
}

const PATTERN = /^([a-z][a-z0-9+.-]*|\*):\/\/([^/?#@\s]+)(\/[^?#\s]*)?$/i;
const WILDCARDS = /\*\*|\*/g;

/**
 * `*` stands for anything but slashes, `**` for anything; `/**` in the end, also for the place itself.
 * Without a path everything on the host is meant.
 * @returns undefined if the text is no pattern
 */
export function parseLocationPattern(text: string): LocationPattern | undefined {
  if (text === '**') return { weight: 0, matches: (locator) => meaning(locator) !== undefined };
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [, scheme, host, path = '/**'] = match;
  const full = `${scheme.toLowerCase()}://${host.toLowerCase()}${path}`;
  const isSubtree = full.endsWith('/**');
  const fixed = isSubtree ? full.slice(0, -'/**'.length) : full;
  const source = fixed
    .split(/(\*\*|\*)/)
    .map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]*' : literal(part)));
  const expression = new RegExp(`^${source.join('')}${isSubtree ? '(?:/.*)?' : ''}$`, 's');
  return {
    weight: full.replace(WILDCARDS, '').length,
    matches(locator) {
      const place = meaning(locator);
      return place !== undefined && expression.test(place);
    },
  };
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** Scheme, host and path alone; undefined for places on this machine. */
function meaning(locator: string): string | undefined {
  const classified = classifyLocator(locator);
  switch (classified.kind) {
    case 'path':
      return undefined;
    case 'ssh': {
      const { host, path } = classified;
      const name = host.slice(host.lastIndexOf('@') + 1).toLowerCase();
      return `ssh://${name}/${path.replace(/^\/+/, '')}`;
    }
    case 'url':
      return meaningOfUrl(classified.url);
  }
}

function meaningOfUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol, host, pathname } = new URL(text);
  return `${protocol}//${host.toLowerCase()}${pathname === '' ? '/' : pathname}`;
}
