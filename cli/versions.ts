/** What commands about version chains have in common (spec/images.md, "Version chains"). */
import type { VersionInfo } from '../lib/api/versions.node.ts';
import type { ChainOptions } from '../lib/images/chain/chain-store.node.ts';
import type { Context } from './context.ts';
import { refuse } from './kinds.ts';
import { namedStore, suffixOption } from './stores.ts';

/** The store that is named. @throws CasError `USAGE` if none is */
export function chainStore(context: Context): Omit<ChainOptions, 'name'> {
  const store = namedStore(context);
  if (store === undefined) throw refuse('--store= must name the store of the versions.');
  const { compression, sync } = context.options;
  return { store, compression, sync, ...suffixOption(context) };
}

/** The chain that is named. @throws CasError `USAGE` if none is */
export function namedChain(context: Context): ChainOptions {
  const { name } = context.options;
  if (name === undefined) throw refuse('--name= must name the chain of versions.');
  return { ...chainStore(context), name };
}

/** Local time to the second. */
function timeText(time: Date): string {
  const two = (value: number): string => `${value}`.padStart(2, '0');
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** A version as a line. */
export function versionLine({ id, time, size, tags }: VersionInfo): string {
  return `${[id, timeText(time), `${size}`, ...tags].join(' ')}\n`;
}
