/** From options and environment to the stores that a command works with. */

import type { StoreOptions } from '../lib/api/options.ts';
import { defaultStore } from '../store/location.ts';
import type { Context } from './context.ts';
import { STANDARD_STREAM } from './kinds.ts';
import { placeOptions } from './places.ts';

const DEFAULT_STORE = 'default.castr';

/** The main store if it is named: by the options, else the environment, else the configuration. */
export function namedStore({ options, environment, settings }: Context): string | undefined {
  return options.store ?? (environment.CASYNC_STORE || settings.configuration.defaults.store);
}

/** The named one, else the one beside the index. */
function mainStore(index: string, context: Context): string {
  const beside = index === STANDARD_STREAM ? DEFAULT_STORE : defaultStore(index);
  return namedStore(context) ?? beside;
}

/**
 * @param index word that names the index
 * @param use stores that chunks are only read from do not matter to who writes
 */
export function storeOptions(
  index: string,
  context: Context,
  use: 'read' | 'write' = 'read',
): StoreOptions {
  const { options } = context;
  const { defaults } = context.settings.configuration;
  const cacheStore = options.cacheStore ?? defaults.cacheStore;
  const extraStores = options.extraStores.filter((store) => store !== '');
  if (use === 'read' && extraStores.length < options.extraStores.length) {
    context.warn('Failed to add extra store , ignoring: No such file or directory');
  }
  return {
    store: mainStore(index, context),
    extraStores: extraStores.length > 0 ? extraStores : (defaults.extraStores ?? []),
    compression: options.compression,
    sync: options.sync,
    ...placeOptions(context),
    ...(cacheStore && { cacheStore }),
    ...suffixOption(context),
  };
}

/** How names of compressed chunks end, if the environment says. */
export function suffixOption({ environment }: Context): Pick<StoreOptions, 'suffix'> {
  const suffix = environment.CASYNC_COMPRESSED_CHUNK_SUFFIX;
  return suffix ? { suffix } : {};
}
