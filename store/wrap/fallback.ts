/** Several chunk sources in order: the first that has a good copy of a chunk wins. */

import type { ChunkSource } from '../chunk-store.ts';
import { ChunkDamaged, ChunkMissing } from '../errors.ts';

/** Errors after which another source may still help. */
function triesNext(error: unknown): boolean {
  return error instanceof ChunkMissing || error instanceof ChunkDamaged;
}

/**
 * A missing or damaged chunk is looked for in the next source; every other failure ends the search.
 * If none has it, damage is reported rather than absence.
 * @param sources at least one, asked in this order; closed together with the result
 */
export function openFallbackSource(sources: readonly ChunkSource[]): ChunkSource {
  if (sources.length === 1) return sources[0];
  return {
    label: sources.map((source) => source.label).join(', '),
    async has(id, options) {
      for (const source of sources) if (await source.has(id, options)) return true;
      return false;
    },
    async get(id, options) {
      let failure: unknown;
      for (const source of sources) {
        try {
          return await source.get(id, options);
        } catch (error) {
          if (!triesNext(error)) throw error;
          if (!(failure instanceof ChunkDamaged)) failure = error;
        }
      }
      throw failure;
    },
    async close() {
      for (const source of sources) await source.close();
    },
  };
}
