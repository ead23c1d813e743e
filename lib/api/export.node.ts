/** `exportImage` of the library: images in the formats of other programs (spec/api.md, "exportImage"). */
import type { RdiffStrongSum, RdiffWeakSum } from '../../formats/rdiff-signature.ts';
import { PipelineError } from '../errors.ts';
import { blockSizeFor } from '../images/block-size.ts';
import { openAppendedImage } from '../images/bridges/appended-image.node.ts';
import { makeBmap } from '../images/bridges/bmap-export.node.ts';
import type { BridgeWork } from '../images/bridges/bridge-work.ts';
import { exportQcow2 } from '../images/bridges/qcow2-export.node.ts';
import { makeRdiffDelta } from '../images/bridges/rdiff-delta.node.ts';
import {
  makeRdiffSignature,
  rdiffBlockSizeFor,
  readRdiffBase,
} from '../images/bridges/rdiff-signature.node.ts';
import type { SparsePolicy } from '../images/destination/image-update.ts';
import { refuseOutput } from '../images/refuse-output.node.ts';
import type { ImageSource } from '../images/source/image-source.node.ts';
import { openImage, sourceOf } from '../images/source/open-image.node.ts';
import { watchSource } from '../images/source/source-state.node.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import type { InputOptions } from './options.ts';
import { openOutput } from './output.node.ts';
import { localPath, remotePlace } from './stores.node.ts';

/** Formats that an image can be written in. */
export type ExportFormat = 'bmap' | 'sparse' | 'rdiff-sig' | 'rdiff-delta' | 'qcow2';

export interface ExportOptions extends InputOptions {
  readonly format: ExportFormat;
  /** Path of what is made, which appears when it is complete; or a descriptor open for writing. */
  readonly output: string | number;
  /** Bytes of a block or cluster; by default one that fits format and image. */
  readonly blockSize?: number;
  /** `rdiff-sig`: default BLAKE2b-256 and RabinKarp, as of rdiff. */
  readonly strongSum?: RdiffStrongSum;
  readonly weakSum?: RdiffWeakSum;
  /** `rdiff-delta`: path of the old file, or of a signature of it. */
  readonly base?: string;
  /** `qcow2`: path of a raw image; only what differs from it is written. */
  readonly backing?: string;
  /** `bmap` and `sparse`: which blocks are mapped: all but holes, all but zeros (`always`), or all. */
  readonly sparse?: SparsePolicy;
}

export interface ExportResult {
  readonly format: ExportFormat;
  /** Bytes of the image; undefined for a stream whose format does not need it. */
  readonly size: number | undefined;
  /** Bytes of what was made, holes left out. */
  readonly writtenBytes: number;
  /** Bytes of the image that are in it, or that it speaks of. */
  readonly dataBytes: number;
  readonly totalMs: number;
}

type Made = Pick<ExportResult, 'writtenBytes' | 'dataBytes'>;

interface Job {
  readonly source: ImageSource;
  /** Permission bits of the image. */
  readonly mode: number | undefined;
  readonly options: ExportOptions;
  readonly work: BridgeWork;
  /** @throws PipelineError `SOURCE_CHANGED` if the image is no longer what it was */
  readonly checkSource: () => void;
}

/**
 * Writes an image as a block map of bmaptool, a sparse copy with such a map, a signature or delta of
 * rdiff, or an image of QEMU. An image that changes meanwhile is refused, and nothing is made of it.
 * @throws CasError `USAGE`, `SOURCE_CHANGED`, `UNSAFE_TARGET`, `LIMIT_EXCEEDED`, `ABORTED`, and what
 * reading and writing throw
 */
export async function exportImage(options: ExportOptions): Promise<ExportResult> {
  const started = performance.now();
  const { format, input, output, base, backing } = options;
  const read = [typeof input === 'string' ? localPath(input) : undefined, base, backing];
  if (typeof output === 'string' && remotePlace(output) === undefined) {
    refuseOutput(localPath(output), read);
  }
  const image = openImage(input, options);
  try {
    const { mode } = image;
    const source = await sourceOf(image);
    const checkSource = await watchSource(image, 'export');
    const made = await FORMATS[format]({
      source,
      mode,
      options,
      work: workOf(options),
      checkSource,
    });
    const totalMs = performance.now() - started;
    return { format, size: source.size, ...made, totalMs };
  } finally {
    image.close();
  }
}

const FORMATS: Readonly<Record<ExportFormat, (job: Job) => Promise<Made>>> = {
  bmap: exportBmap,
  sparse: exportSparse,
  'rdiff-sig': exportSignature,
  'rdiff-delta': exportDelta,
  qcow2({ source, mode, options, work, checkSource }) {
    const { output, blockSize, backing } = options;
    if (typeof output === 'number') throw needsName();
    const parts = {
      ...(mode === undefined ? {} : { mode }),
      ...(blockSize === undefined ? {} : { clusterSize: blockSize }),
      ...(backing === undefined ? {} : { backing: localPath(backing) }),
    };
    return exportQcow2(source, localPath(output), { ...parts, work, checkSource });
  },
};

function workOf({ threadCount, signal, onProgress }: ExportOptions): BridgeWork {
  return {
    threadCount: threadCount ?? defaultThreadCount(),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  };
}

function needsName(): PipelineError {
  return new PipelineError('USAGE', { reason: 'This format needs an output with a name.' });
}

async function exportBmap(job: Job): Promise<Made> {
  const { source, options, work } = job;
  const { blockSize = blockSizeFor(source.size), sparse = 'auto' } = options;
  const { text, mappedBytes } = await makeBmap(source, { blockSize, sparse }, work);
  return written(job, [Buffer.from(text)], () => mappedBytes);
}

async function exportSparse({ source, mode, options, work, checkSource }: Job): Promise<Made> {
  const { blockSize = blockSizeFor(source.size), sparse = 'auto', output } = options;
  if (typeof output === 'number') throw needsName();
  const path = localPath(output);
  refuseOutput(`${path}.bmap`, []);
  const copy = openAppendedImage(path, mode);
  try {
    const { text, mappedBytes } = await makeBmap(source, { blockSize, sparse, copy }, work);
    const { writtenBytes } = copy;
    checkSource();
    await copy.commit();
    const map = openAppendedImage(`${path}.bmap`, mode);
    try {
      await map.write(Buffer.from(text));
      await map.commit();
    } finally {
      map.discard();
    }
    return { writtenBytes: writtenBytes + text.length, dataBytes: mappedBytes };
  } finally {
    copy.discard();
  }
}

function exportSignature(job: Job): Promise<Made> {
  const { source, options, work } = job;
  const { strongSum = 'blake2b-256', weakSum = 'rabinkarp' } = options;
  const { blockSize = rdiffBlockSizeFor(source.size) } = options;
  const parts = makeRdiffSignature(source, { strongSum, weakSum, blockSize }, work);
  return written(job, parts, () => source.size ?? 0);
}

async function exportDelta(job: Job): Promise<Made> {
  const { source, mode, options, work, checkSource } = job;
  const { base } = options;
  if (base === undefined) {
    const reason = 'Expected the old file, or a signature of it: --base=FILE.';
    throw new PipelineError('USAGE', { reason });
  }
  const signature = await readRdiffBase(localPath(base), options, work);
  const sink = await openOutput(options, mode);
  let writtenBytes = 0;
  try {
    const write = (bytes: Uint8Array) => {
      writtenBytes += bytes.length;
      return sink.write(bytes);
    };
    const { literalBytes } = await makeRdiffDelta(signature, source, write, work);
    checkSource();
    await sink.commit();
    return { writtenBytes, dataBytes: literalBytes };
  } finally {
    await sink.discard();
  }
}

async function written(
  { mode, options, checkSource }: Job,
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  dataBytes: () => number,
): Promise<Made> {
  const sink = await openOutput(options, mode);
  let writtenBytes = 0;
  try {
    for await (const part of parts) {
      writtenBytes += part.length;
      await sink.write(part);
    }
    checkSource();
    await sink.commit();
    return { writtenBytes, dataBytes: dataBytes() };
  } finally {
    await sink.discard();
  }
}
