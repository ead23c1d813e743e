/** From options and environment to the stores that a command works with. */

import type { StoreOptions } from '../lib/api/options.ts';
import { defaultStore } from '../store/location.ts';
import type { Context } from './context.ts';
import { STANDARD_STREAM } from './kinds.ts';

const DEFAULT_STORE = 'default.castr';

/** The main store: what the options say, else the environment, else the one beside the index. */
function mainStore(index: string, { options, environment }: Context): string {
  const named = options.store ?? (environment.CASYNC_STORE || undefined);
  if (named !== undefined) return named;
  return index === STANDARD_STREAM ? DEFAULT_STORE : defaultStore(index);
}

/** @param index word that names the index */
export function storeOptions(index: string, context: Context): StoreOptions {
  const { options, environment } = context;
  const suffix = environment.CASYNC_COMPRESSED_CHUNK_SUFFIX;
  return {
    store: mainStore(index, context),
    extraStores: options.extraStores,
    compression: options.compression,
    sync: options.sync,
    ...(suffix ? { suffix } : {}),
  };
}
