/** `delta` of the library: what leads from one version of an image to another (spec/api.md, "delta"). */
import type { BlockDigestName } from '../../formats/block-digest.ts';
import { hexOf } from '../../formats/bytes.ts';
import type { DigestName } from '../../formats/chunk-id.ts';
import { type ChunkSizes, isFixedSize } from '../../formats/chunk-sizes.ts';
import type { DeltaHeader, DeltaKind, ImageVersion } from '../../formats/delta.ts';
import { createBlockDigest } from '../digest/block-digest.node.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { blockSizeFor } from '../images/block-size.ts';
import {
  baseOfBlocks,
  baseOfChunks,
  baseOfIndex,
  checkBlockSize,
  chooseDeltaChunking,
  type DeltaBase,
  deltaChunkSizes,
  isIndex,
} from '../images/delta/delta-base.node.ts';
import { DeltaWriter } from '../images/delta/delta-writer.node.ts';
import { compareBlocks } from '../images/delta/make-blocks.node.ts';
import { compareChunks } from '../images/delta/make-pieces.node.ts';
import { openSparseDelta, type SparseDelta } from '../images/delta/sparse-delta.node.ts';
import type { ChosenChunking } from '../images/source/chunking-choice.node.ts';
import { type OpenedImage, openImage } from '../images/source/open-image.node.ts';
import { BlockScan } from '../images/source/scan-blocks.node.ts';
import { ChunkScan } from '../images/source/scan-chunks.node.ts';
import { watchSource } from '../images/source/source-state.node.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { recordedFlags } from './features.ts';
import type { Input, InputOptions } from './options.ts';
import { openOutput, refuseInputAsOutput } from './output.node.ts';

export interface DeltaOptions extends InputOptions {
  /** What the delta leads from: a path of an index, file or device, or a descriptor. */
  readonly base: Exclude<Input, Uint8Array>;
  /** Path of the delta, which appears when it is complete; or a descriptor open for writing. */
  readonly output: string | number;
  /**
   * `fixed` compares blocks in their place, `cdc` finds what has moved. Default `auto`: by what base and
   * source look like. An index as base decides by itself.
   */
  readonly chunking?: 'auto' | 'fixed' | 'cdc';
  /** Bytes of a block; by default a size that fits the base. */
  readonly blockSize?: number;
  /** Three equal ones are a block size, others say how content is cut. */
  readonly chunkSizes?: ChunkSizes;
  /** Where the base is no index; default sha256. */
  readonly digest?: DigestName;
  /** `sparse`: a sparse file with the changed blocks, and a bmap file beside it, for bmaptool. */
  readonly format?: 'casync' | 'sparse';
  /** Told how the images are compared, and why, before the source is read. */
  readonly onChunking?: (chosen: ChosenChunking) => void;
}

/** A version of an image, as results tell it. */
export interface VersionName {
  /** In bytes. */
  readonly size: number;
  /** 64 hex digits. */
  readonly root: string;
}

export interface DeltaResult {
  readonly chunking: 'fixed' | 'cdc';
  readonly base: VersionName;
  readonly result: VersionName;
  /** Bytes of the result that are not at their place in the base. */
  readonly changedBytes: number;
  /** Bytes of the result that the delta holds, before compression. */
  readonly dataBytes: number;
  /** Bytes of the delta; of a sparse one, of what is no hole. */
  readonly deltaBytes: number;
  readonly totalMs: number;
}

/**
 * Makes a delta, which holds all that is needed besides the base, and knows both ends.
 * @throws CasError `SOURCE_CHANGED` if base or source change meanwhile, `USAGE`, `FORMAT` for an index that is
 * none, `ABORTED`, and what reading and writing throw; there is no delta then
 */
export async function delta(options: DeltaOptions): Promise<DeltaResult> {
  const started = performance.now();
  refuseInputAsOutput(options.output, [options.base, options.input]);
  const base = openImage(options.base);
  try {
    const source = openImage(options.input, options);
    try {
      return { ...(await new DeltaMaker(base, source, options).make()), totalMs: since(started) };
    } finally {
      source.close();
    }
  } catch (error) {
    throwIfAborted(options.signal);
    throw error;
  } finally {
    base.close();
  }
}

function since(started: number): number {
  return performance.now() - started;
}

const CHUNKING_OF = { blocks: 'fixed', pieces: 'cdc' } as const;

/** Where a delta goes. */
type DeltaOutput = DeltaWriter | SparseDelta;

class DeltaMaker {
  readonly #base: OpenedImage;
  readonly #source: OpenedImage;
  readonly #options: DeltaOptions;
  readonly #threadCount: number;
  /** One for each image that is read. */
  readonly #checks: (() => void)[] = [];

  constructor(base: OpenedImage, source: OpenedImage, options: DeltaOptions) {
    this.#base = base;
    this.#source = source;
    this.#options = options;
    this.#threadCount = options.threadCount ?? defaultThreadCount();
  }

  async make(): Promise<Omit<DeltaResult, 'totalMs'>> {
    for (const image of [this.#base, this.#source]) {
      this.#checks.push(await watchSource(image, 'delta'));
    }
    const found = isIndex(this.#base) ? baseOfIndex(this.#base) : undefined;
    return this.#kind(found) === 'blocks' ? this.#makeBlocks(found) : this.#makePieces(found);
  }

  /** @throws PipelineError `USAGE` for wishes that do not go together */
  #kind(found: DeltaBase | undefined): DeltaKind {
    const { chunking = 'auto', blockSize, chunkSizes, format, onChunking } = this.#options;
    const isBlocks = blockSize !== undefined || format === 'sparse';
    const sized = chunkSizes && (isFixedSize(chunkSizes) ? 'fixed' : 'cdc');
    const wishes = [
      { chunking: found && CHUNKING_OF[found.kind], reason: 'as the index is cut' },
      { chunking: chunking === 'auto' ? undefined : chunking, reason: 'as asked for' },
      { chunking: isBlocks ? ('fixed' as const) : undefined, reason: 'as asked for' },
      { chunking: sized, reason: 'as asked for' },
    ].filter((wish): wish is ChosenChunking => wish.chunking !== undefined);
    const chosen = wishes[0] ?? chooseDeltaChunking(this.#base, this.#source);
    if (wishes.some((wish) => wish.chunking !== chosen.chunking)) {
      const reason =
        found === undefined
          ? 'block sizes and sparse files are of use only with --chunking=fixed'
          : 'the index is not cut in this way';
      throw new PipelineError('USAGE', { subject: this.#base.label, reason });
    }
    onChunking?.(chosen);
    return chosen.chunking === 'fixed' ? 'blocks' : 'pieces';
  }

  async #makeBlocks(found: DeltaBase | undefined): Promise<Omit<DeltaResult, 'totalMs'>> {
    const { signal, onProgress } = this.#options;
    const known = found?.kind === 'blocks' ? found : undefined;
    const blockSize = this.#blockSize(known?.table.blockSize);
    const digest: BlockDigestName = known?.digest ?? this.#options.digest ?? 'sha256';
    const threadCount = this.#threadCount;
    const scan = new BlockScan({ blockSize, digest, threadCount, ...(signal ? { signal } : {}) });
    try {
      const { table } = known ?? (await baseOfBlocks(this.#base, scan, onProgress));
      const header = { blockSize, digest, kind: 'blocks' as const, chunkSizes: undefined };
      const source = this.#source.source();
      return await this.#write({ ...header, isUndo: false }, 'fixed', (output) => {
        if (!(output instanceof DeltaWriter)) output.expectBase(table.size);
        return compareBlocks(output, { scan, source, table, onProgress });
      });
    } finally {
      await scan.close();
    }
  }

  async #makePieces(found: DeltaBase | undefined): Promise<Omit<DeltaResult, 'totalMs'>> {
    const { signal, onProgress } = this.#options;
    const known = found?.kind === 'pieces' ? found : undefined;
    const digest = known?.digest ?? this.#options.digest ?? 'sha256';
    const { chunkSizes: asked = deltaChunkSizes(this.#base.size ?? 0) } = this.#options;
    const chunkSizes = known?.index.chunkSizes ?? asked;
    if (this.#options.chunkSizes !== undefined && !isSameSizes(asked, chunkSizes)) {
      const reason = 'the index has chunks of other sizes';
      throw new PipelineError('USAGE', { subject: this.#base.label, reason });
    }
    const threadCount = this.#threadCount;
    const scan = new ChunkScan({ chunkSizes, digest, threadCount, ...(signal ? { signal } : {}) });
    try {
      const featureFlags = recordedFlags({ digest }, 0n);
      const header = { featureFlags, chunkSizes };
      const { index } = known ?? (await baseOfChunks(this.#base, scan, header, onProgress));
      const source = this.#source.segments();
      const hash = createBlockDigest(digest);
      const kind = { blockSize: 0, digest, kind: 'pieces' as const, chunkSizes, isUndo: false };
      return await this.#write(kind, 'cdc', (output) => {
        if (!(output instanceof DeltaWriter)) throw new TypeError('sparse files have blocks');
        return compareChunks(output, { scan, source, base: index, digest: hash, onProgress });
      });
    } finally {
      await scan.close();
    }
  }

  #blockSize(known: number | undefined): number {
    const { chunkSizes, blockSize: asked = chunkSizes?.avg } = this.#options;
    const blockSize = asked ?? known ?? blockSizeFor(this.#base.size);
    if (known !== undefined && blockSize !== known) {
      const reason = `the index has blocks of ${known} bytes`;
      throw new PipelineError('USAGE', { subject: this.#base.label, reason });
    }
    checkBlockSize(blockSize, this.#base.label);
    return blockSize;
  }

  async #write(
    header: DeltaHeader,
    chunking: 'fixed' | 'cdc',
    compare: (
      output: DeltaOutput,
    ) => Promise<{ readonly base: ImageVersion; readonly result: ImageVersion }>,
  ): Promise<Omit<DeltaResult, 'totalMs'>> {
    const output = await this.#openOutput(header);
    try {
      const { base, result } = await compare(output);
      for (const check of this.#checks) check();
      const { changedBytes, dataBytes } = await output.finish(base, result);
      const deltaBytes = output.writtenBytes;
      const names = { base: versionName(base), result: versionName(result) };
      return { chunking, ...names, changedBytes, dataBytes, deltaBytes };
    } finally {
      await output.discard();
    }
  }

  async #openOutput(header: DeltaHeader): Promise<DeltaOutput> {
    const { output, format } = this.#options;
    if (format === 'sparse') return openSparseDelta(output, header, this.#source.size);
    return new DeltaWriter(await openOutput(this.#options, this.#source.mode), header);
  }
}

function isSameSizes(a: ChunkSizes, b: ChunkSizes): boolean {
  return a.min === b.min && a.avg === b.avg && a.max === b.max;
}

export function versionName({ size, root }: ImageVersion): VersionName {
  return { size, root: hexOf(root) };
}
