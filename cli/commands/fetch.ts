/** What casync-http and its like do (spec/remote.md): an archive, an index and chunks from URLs to a client. */
import { isCasError } from '../../formats/errors.ts';
import { classifyLocator } from '../../store/location.ts';
import type { Context } from '../context.ts';
import { refuse } from '../kinds.ts';
import { peerPlaces } from '../peer-words.ts';
import { placeOptions } from '../places.ts';
import { serveOnStandardStreams } from './pull.ts';

/** Numbers of Linux by which the original tells that something is not there, and all other failures. */
const ENOMEDIUM = 123;
const EBADR = 53;

function abortNumber(error: unknown): number {
  const isMissing = isCasError(error) && ['OBJECT_MISSING', 'INDEX_MISSING'].includes(error.code);
  return isMissing ? ENOMEDIUM : EBADR;
}

/** @param schemes of the URLs that may be fetched */
export async function fetch(
  words: readonly string[],
  context: Context,
  schemes: readonly string[],
): Promise<void> {
  const places = peerPlaces(words, 'Pull from base or archive not yet supported.');
  const { archive, index, stores } = places;
  for (const word of [archive, index, ...stores]) {
    if (word === undefined) continue;
    const locator = classifyLocator(word);
    if (locator.kind === 'url' && schemes.includes(locator.scheme)) continue;
    throw refuse(`Not a URL of ${schemes.join(' or ')}.`);
  }
  const { settingsFor } = placeOptions(context);
  const direct = {
    // Or another helper, which may be this one, would be asked.
    settingsFor(locator: string) {
      const settings = settingsFor?.(locator);
      const environment = { ...context.environment, CASYNC_PROTOCOL_PATH: undefined };
      return { ...settings, environment };
    },
  };
  await serveOnStandardStreams(places, context, { ...direct, abortNumber });
}
