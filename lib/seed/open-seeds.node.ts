/** Opens seeds by their paths, whatever they are. Used by extraction and `info`. */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { openFileSeed } from './file-seed.node.ts';
import type { Seed } from './seed.ts';
import { openSeedFile } from './seed-file.node.ts';
import { openTreeSeed, type TreeSeedOptions } from './tree-seed.node.ts';

export interface OpenSeedsOptions extends TreeSeedOptions {
  /** Told of a seed that cannot be used; the others are opened all the same. */
  readonly onSeedFailure: (seed: string, error: unknown) => void;
}

/**
 * Opens the seeds that can be opened, and finds out which chunks of `index` they hold.
 * @throws PipelineError `ABORTED`
 */
export async function openSeeds(
  paths: readonly string[],
  index: ChunkIndex,
  options: OpenSeedsOptions,
): Promise<readonly Seed[]> {
  const seeds: Seed[] = [];
  for (const path of paths) {
    try {
      const file = openSeedFile(path);
      const opened = file ? openFileSeed(file, index, options) : openTreeSeed(path, index, options);
      seeds.push(await opened);
    } catch (error) {
      if (options.signal?.aborted) {
        for (const seed of seeds) seed.close();
        throw error;
      }
      options.onSeedFailure(path, error);
    }
  }
  return seeds;
}
