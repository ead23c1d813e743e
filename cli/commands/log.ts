/** `log` (spec/command-line.md): the versions of a chain, or the chains of a store. */
import { chains, type VersionInfo, versions } from '../../lib/api/versions.node.ts';
import type { Context } from '../context.ts';
import { jsonLine } from '../json-text.ts';
import { synchronize } from '../synchronize.ts';
import { chainStore, namedChain, versionLine } from '../versions.ts';

/** The newest first. */
export async function log(_words: readonly string[], context: Context): Promise<void> {
  const { options, stdout, signal } = context;
  if (options.name === undefined) {
    const names = await synchronize(async () => chains(chainStore(context)));
    for (const name of names) stdout.write(options.json ? jsonLine({ name }) : `${name}\n`);
    return;
  }
  const found = await synchronize(() => versions({ ...namedChain(context), signal }));
  for (const version of found.toReversed()) {
    stdout.write(options.json ? versionJsonLine(version) : versionLine(version));
  }
}

export function versionJsonLine(version: VersionInfo): string {
  return jsonLine({ ...version, time: version.time.toISOString() });
}
