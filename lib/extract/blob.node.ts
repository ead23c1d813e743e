/**
 * A blob at its target: put together from what the target holds already, from seeds and from stores
 * (spec/formats/extraction.md, "Blob"). Used by `extract` and `get`.
 */
import { closeSync } from 'node:fs';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { throwIfAborted } from '../errors.ts';
import { type OpenSeedsOptions, openSeeds } from '../seed/open-seeds.node.ts';
import type { Seed } from '../seed/seed.ts';
import { openSeedFile, type SeedFile } from '../seed/seed-file.node.ts';
import type { ExtractStatistics } from '../statistics.ts';
import type { SourceDescriptions } from '../stores/store-description.ts';
import { Assembly } from './assemble.node.ts';
import { openBlockTarget } from './open-target.node.ts';
import { takeFromFile } from './take-from-file.node.ts';
import type { BlockTarget } from './target.ts';

/** What else an extraction needs to know. */
export interface ExtractBlobOptions extends OpenSeedsOptions {
  /** Where chunks come from that no seed has. */
  readonly sources: SourceDescriptions;
  /** Paths of files, devices or folders that may hold chunks, asked in this order. */
  readonly seeds: readonly string[];
  /** What is at the target already is the first seed. */
  readonly seedOutput: boolean;
  /** Share blocks with seeds where the file system can. */
  readonly reflink: boolean;
  readonly punchHoles: boolean;
  /** Wait until the result is on disk. */
  readonly durable: boolean;
}

/**
 * Puts the blob behind `index` together. After a failure an older file is as it was, and nothing new is
 * left; a device or stream keeps what was written.
 * @param output path, or a descriptor open for writing
 * @throws ChunkMissing | ChunkDamaged | StorageError | PipelineError
 */
export async function extractBlob(
  index: ChunkIndex,
  output: string | number,
  options: ExtractBlobOptions,
): Promise<ExtractStatistics> {
  const extraction = new BlobExtraction(index, output, options);
  try {
    return await extraction.run();
  } finally {
    extraction.close();
  }
}

class BlobExtraction {
  readonly #index: ChunkIndex;
  readonly #output: string | number;
  readonly #options: ExtractBlobOptions;
  readonly #started = performance.now();
  /** The old content of the output. */
  readonly #old: SeedFile | undefined;
  /** All seeds that are files or devices, by path. */
  readonly #files = new Map<string, SeedFile>();
  readonly #folders = new Set<string>();
  #seedingMs = 0;

  constructor(index: ChunkIndex, output: string | number, options: ExtractBlobOptions) {
    this.#index = index;
    this.#output = output;
    this.#options = options;
    this.#old = options.seedOutput ? openOld(output) : undefined;
    for (const path of options.seeds) this.#openSeed(path);
  }

  close(): void {
    for (const file of [this.#old, ...this.#files.values()]) if (file) closeSync(file.descriptor);
  }

  async run(): Promise<ExtractStatistics> {
    const statistics = (await this.#attempt(true)) ?? (await this.#attempt(false));
    if (statistics === undefined) throw new TypeError('a new file is always worth it');
    return statistics;
  }

  /**
   * @param updates an old file is updated if there is one; else another one takes its place
   * @returns undefined if an update would not be worth it; nothing has changed then
   */
  async #attempt(updates: boolean): Promise<ExtractStatistics | undefined> {
    const { sources, threadCount, chunker, signal, onProgress } = this.#options;
    const target = this.#openTarget(updates);
    let assembly: Assembly | undefined;
    let seeds: readonly Seed[] = [];
    try {
      if (target.isStream) seeds = await this.#openAllSeeds();
      assembly = new Assembly(this.#index, {
        source: sources,
        seeds,
        threadCount,
        ...(chunker && { chunker }),
        ...(signal && { signal }),
        ...(onProgress && { onProgress }),
      });
      const isWorthIt = target.isStream || (await this.#takeFromSeeds(assembly, target, updates));
      if (isWorthIt) {
        await assembly.fill(target);
        throwIfAborted(signal);
        await target.commit();
        return this.#statistics(assembly, target);
      }
      await target.discard();
      return undefined;
    } catch (error) {
      await target.discard();
      throwIfAborted(signal);
      throw error;
    } finally {
      await assembly?.close();
      for (const seed of seeds) seed.close();
    }
  }

  #openSeed(path: string): void {
    try {
      const file = openSeedFile(path);
      if (file === undefined) this.#folders.add(path);
      else this.#files.set(path, file);
    } catch (error) {
      this.#options.onSeedFailure(path, error);
    }
  }

  #openTarget(updates: boolean): BlockTarget {
    const { punchHoles, durable, reflink, signal } = this.#options;
    const [base] = this.#files.values();
    return openBlockTarget(this.#output, {
      size: this.#index.totalSize,
      punchHoles,
      durable,
      reflink,
      keepOld: updates && this.#old !== undefined,
      ...(base && { base }),
      ...(signal && { signal }),
    });
  }

  /** @returns false if too much of the old content has changed to be updated */
  async #takeFromSeeds(
    assembly: Assembly,
    target: BlockTarget,
    updates: boolean,
  ): Promise<boolean> {
    const started = performance.now();
    const { signal, onProgress, seeds } = this.#options;
    const search = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
    const holds = updates ? (this.#old ?? this.#firstFile()) : this.#firstFile();
    const take = (file: SeedFile): Promise<boolean> => {
      const isHeld = target.held !== undefined && file === holds;
      return takeFromFile(assembly, this.#index, file, { target, isHeld, ...search });
    };
    try {
      if (this.#old !== undefined && !(await take(this.#old))) return false;
      for (const path of seeds) {
        if (assembly.remaining.byteCount === 0) break;
        const file = this.#files.get(path);
        if (file !== undefined) await take(file);
        else if (this.#folders.has(path)) await this.#takeFromFolder(assembly, target, path);
      }
      return true;
    } finally {
      this.#seedingMs += performance.now() - started;
    }
  }

  #firstFile(): SeedFile | undefined {
    return this.#files.values().next().value;
  }

  async #takeFromFolder(assembly: Assembly, target: BlockTarget, path: string): Promise<void> {
    const [seed] = await this.#openSeeds([path]);
    if (seed === undefined) return;
    try {
      const partsOf = (chunk: number) => seed.find(this.#index.id(chunk));
      await assembly.takeFrom({ partsOf, target });
    } finally {
      seed.close();
    }
  }

  /** For targets that take the chunks in order only. */
  async #openAllSeeds(): Promise<readonly Seed[]> {
    const started = performance.now();
    const seeds = await this.#openSeeds(this.#options.seeds);
    this.#seedingMs += performance.now() - started;
    return seeds;
  }

  #openSeeds(paths: readonly string[]): Promise<readonly Seed[]> {
    return openSeeds(paths, this.#index, this.#options);
  }

  #statistics({ reader }: Assembly, { counts }: BlockTarget): ExtractStatistics {
    return {
      ...counts,
      hardlinkBytes: 0,
      localStore: reader.fromStores,
      localSeed: reader.fromSeeds,
      remoteStore: reader.fromRemoteStores,
      seedingMs: this.#seedingMs,
      totalMs: performance.now() - this.#started,
    };
  }
}

/** What is at the output, if it can be a seed. */
function openOld(output: string | number): SeedFile | undefined {
  if (typeof output === 'number') return undefined;
  try {
    return openSeedFile(output);
  } catch {
    // Nothing is there, or nothing that can be read: whoever opens the target says what is wrong.
    return undefined;
  }
}
