/** From options to seeds: what may hold the chunks that a command needs. */
import { isCasError } from '../formats/errors.ts';
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
      const isAboutSeed = isCasError(error) && error.subject === seed;
      const reason = isAboutSeed ? error.reason : error instanceof Error ? error.message : error;
      context.warn(`Failed to add seed ${seed}, ignoring: ${reason}`);
    },
    ...(onEntry ? { onSeedEntry: onEntry } : {}),
  };
}
