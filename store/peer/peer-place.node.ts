/**
 * Places behind the casync protocol: which program speaks for them, and which of them share one. Used by
 * all conversations.
 */
import { CasError } from '../../formats/errors.ts';
import { type Place, placeLabel } from '../location.ts';
import type { LocationSettings } from '../location-settings.ts';
import type { PeerProcessOptions } from './peer-process.node.ts';
import { type Command, casyncOverSsh, helperCommand } from './ssh-command.node.ts';

/** `[USER@]HOST:PATH`, or a URL whose scheme has a helper program. */
export type PeerLocator = Place;

export type SshLocator = Extract<Place, { readonly kind: 'ssh' }>;

export interface PeerOptions {
  readonly settings: LocationSettings;
}

/** What one program is asked for; all at the same place. The first store is the one that is written. */
export interface PeerThings {
  readonly archive?: PeerLocator;
  readonly index?: PeerLocator;
  readonly stores?: readonly PeerLocator[];
}

/** Whether one program can speak for both. */
export function isSamePeer(one: PeerLocator, other: PeerLocator): boolean {
  return prefixOf(one) === prefixOf(other);
}

/** The part that says where: `[USER@]HOST:` or `SCHEME://AUTHORITY`. */
function prefixOf(locator: PeerLocator): string {
  if (locator.kind === 'ssh') return `${locator.host}:`;
  const { scheme, url } = locator;
  const rest = url.slice(scheme.length + '://'.length);
  return `${scheme}://${rest.replace(/[/?;].*$/s, '')}`;
}

/** @throws CasError `USAGE`; TypeError for things at different places, or none */
export function peerCommand(
  verb: 'pull' | 'push',
  { archive, index, stores = [] }: PeerThings,
  options: PeerOptions,
): Command {
  const all = [archive, index, ...stores].filter((thing) => thing !== undefined);
  const [first] = all;
  if (first === undefined || !all.every((thing) => isSamePeer(thing, first))) {
    throw new TypeError('one program speaks for one place');
  }
  const words = {
    verb,
    ...(archive && { archive: wordOf(archive) }),
    ...(index && { index: wordOf(index) }),
    stores: stores.map(wordOf),
  };
  if (first.kind === 'ssh') return casyncOverSsh(first.host, words, options);
  return helperCommand(first.scheme, words, options);
}

function wordOf(locator: PeerLocator): string {
  return locator.kind === 'ssh' ? locator.path : locator.url;
}

/** What all processes for a place have in common. */
export function processOptions(
  locator: PeerLocator,
  { settings }: PeerOptions,
): Omit<PeerProcessOptions, 'flags'> {
  const { environment, timeoutMs } = settings;
  return { label: placeLabel(locator), environment, timeoutMs };
}

/** @throws CasError `UNSUPPORTED` for what only casync itself can do, over ssh */
export function requireSsh(locator: PeerLocator): asserts locator is SshLocator {
  if (locator.kind === 'ssh') return;
  throw new CasError('UNSUPPORTED', {
    subject: placeLabel(locator),
    reason: `Nothing can be stored through ${locator.scheme} helpers alone.`,
  });
}
