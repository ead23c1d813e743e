/**
 * Seeds: data on this machine that may hold the chunks an extraction wants. What a seed says is
 * believed and never trusted: whoever reads a chunk from its parts verifies it, and asks the stores if
 * it is something else by now (spec/promises.md, 6). Used by everything that reads behind an index.
 */
import type { ChunkId } from '../../formats/chunk-id.ts';

/** A range of bytes in an open file, or in a file below an open directory. */
export interface SeedPart {
  /** Of a file, or of a directory if there is a `path`. Stays open until the seed is closed. */
  readonly descriptor: number;
  /** Below the directory, without leading slash. */
  readonly path?: Uint8Array;
  /** In the file, in bytes. */
  readonly offset: number;
  /** In bytes. */
  readonly length: number;
}

/** The parts of a chunk in the first seed that has it. */
export function partsInSeeds(seeds: readonly Seed[], id: ChunkId): readonly SeedPart[] | undefined {
  for (const seed of seeds) {
    const parts = seed.find(id);
    if (parts !== undefined) return parts;
  }
  return undefined;
}

export interface Seed {
  /** For messages. */
  readonly label: string;
  /** The parts that make up a chunk, in order; undefined if the seed does not have it. */
  find(id: ChunkId): readonly SeedPart[] | undefined;
  /** Closes its files. */
  close(): void;
}
