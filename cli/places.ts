/** What commands know of places that are not on this machine. */
import type { PlaceOptions } from '../lib/api/options.ts';
import type { Context } from './context.ts';

export function placeOptions({ settings }: Context): PlaceOptions {
  return { settingsFor: settings.settingsFor };
}
