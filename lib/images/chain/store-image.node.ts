/**
 * The blocks of an image into packs of a store: read once, digested and compressed on all cores, and
 * only what the store lacks (spec/images.md, "Version chains"). Used by put with a chain, and by sync
 * with a store.
 */
import type { BlockTable } from '../../../formats/block-table.ts';
import type { DigestName } from '../../../formats/chunk-id.ts';
import { PipelineError } from '../../errors.ts';
import type { LocalStoreDescription } from '../../local-store.node.ts';
import { type ProgressSink, progressOf } from '../../progress.ts';
import { inOrder } from '../../work/in-order.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import { type OpenedImage, sourceOf } from '../source/open-image.node.ts';
import { type BlockPortion, BlockScan, type KindRun } from '../source/scan-blocks.node.ts';
import { rememberSource } from '../source/source-state.node.ts';
import { type BegunRuns, PackSink, type PackSinkResult } from './pack-sink.node.ts';

export interface StoreImageOptions {
  readonly store: LocalStoreDescription;
  readonly digest: DigestName;
  /** What the image was before, in blocks of the size that is wanted; changed to what it is now. */
  readonly known: BlockTable;
  /** Whether all of that is certainly in the store (default); otherwise the store is asked for each block. */
  readonly isStored?: boolean;
  /** Threads besides the caller's. */
  readonly threadCount: number;
  /** Whether an image that changed while it was read is an error, or only reported. */
  readonly onSourceChange?: 'fail' | 'warn';
  readonly onWarning?: ((text: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressSink | undefined;
}

export interface StoredImage extends PackSinkResult {
  /** Bytes of the image. */
  readonly size: number;
}

/**
 * All blocks are in the store, and on disk, when this resolves; `known` describes the image then.
 * @throws PipelineError `SOURCE_CHANGED` | `IO` | `ABORTED`; StorageError
 */
export async function storeImage(
  image: OpenedImage,
  options: StoreImageOptions,
): Promise<StoredImage> {
  const { store, digest, known, threadCount, signal } = options;
  const scan = new BlockScan({
    blockSize: known.blockSize,
    digest,
    threadCount,
    heldPortions: heldPortions(threadCount),
    setup: { digest, compression: store.compression },
    ...(signal ? { signal } : {}),
  });
  const state = image.descriptor === undefined ? undefined : await rememberSource(image.descriptor);
  if (state?.warning !== undefined) options.onWarning?.(`${image.label}: ${state.warning}`);
  const sink = new PackSink({ store, digest, known, pool: scan.pool });
  try {
    const source = await sourceOf(image);
    // Of a stream nobody knows where it ends: what was the short last block may be any block in it.
    known.resize(source.size ?? known.count * known.blockSize);
    const size = await writeAll(scan, source, sink, options);
    const difference = state?.difference();
    if (difference !== undefined) tellChange(image.label, difference, options);
    return { ...(await sink.finish(size)), size };
  } finally {
    await sink.abandon();
    await scan.close();
  }
}

async function writeAll(
  scan: BlockScan,
  source: ImageSource,
  sink: PackSink,
  { isStored = true, threadCount, signal, onProgress }: StoreImageOptions,
): Promise<number> {
  let size = 0;
  const begin = (portion: BlockPortion) => {
    return beginPortion(portion, isStored ? portion.changedRuns(sink.known) : portion.runs(), sink);
  };
  const most = heldPortions(threadCount);
  for await (const begun of inOrder(scan.scan(source), begin, { most, signal })) {
    const { portion } = begun;
    try {
      await sink.write(begun);
    } finally {
      begun.release();
    }
    size = portion.start + portion.length;
    onProgress?.(progressOf('put', size, source.size));
  }
  return size;
}

/** Enough for all threads to compress, while further portions are read. */
function heldPortions(threadCount: number): number {
  return threadCount + 1;
}

async function beginPortion(
  portion: BlockPortion,
  found: Iterable<KindRun>,
  sink: PackSink,
): Promise<BegunRuns & { readonly portion: BlockPortion; release(): void }> {
  const release = (): void => portion.release();
  try {
    const runs = Array.from(found, (run) => ({
      ...run,
      digests: portion.digestsOf(run),
      bytes: bytesOf(portion, run, sink.known),
    }));
    return { ...(await sink.begin(runs)), portion, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** Of a stream nobody knows the size before its end: how long a short block is, its bytes tell. */
function bytesOf(
  portion: BlockPortion,
  run: KindRun,
  { blockSize }: BlockTable,
): Uint8Array | undefined {
  const isLast = run.first + run.count === portion.first + portion.count;
  const isShort = isLast && portion.hasBytes && portion.length % blockSize !== 0;
  return run.kind === 'zeros' && !isShort ? undefined : portion.bytesOf(run);
}

function tellChange(
  label: string,
  difference: string,
  { onSourceChange = 'fail', onWarning }: StoreImageOptions,
): void {
  if (onSourceChange === 'warn') onWarning?.(`${label}: ${difference}`);
  else throw new PipelineError('SOURCE_CHANGED', { subject: label, reason: difference });
}
