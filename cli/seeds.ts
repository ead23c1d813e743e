/** From options to seeds: what may hold the chunks that a command needs. */
import type { SeedOptions } from '../lib/api/options.ts';
import type { Context } from './context.ts';
import { localPath } from './kinds.ts';
import { entryLines } from './verbose.ts';

const VERBS = { begin: 'Seeding', end: 'Seeded' };

export function seedOptions(context: Context): SeedOptions {
  const { seeds, chunker } = context.options;
  const { onEntry } = entryLines(context, VERBS);
  return {
    seeds: seeds.map((seed) => localPath(seed)),
    chunker,
    onSeedFailure(seed, error) {
      const reason = error instanceof Error ? error.message : String(error);
      context.warn(`Failed to add seed ${seed}, ignoring: ${reason}`);
    },
    ...(onEntry ? { onSeedEntry: onEntry } : {}),
  };
}
