/** `importImage` of the library: what other programs have made of images (spec/api.md, "importImage"). */
import { about, FormatError } from '../../formats/errors.ts';
import { isRdiffDelta } from '../../formats/rdiff-delta.ts';
import { isRdiffSignature, type RdiffSignatureHeader } from '../../formats/rdiff-signature.ts';
import { decodeSpgzHead, SPGZ_HEAD_LENGTH } from '../../formats/spgz.ts';
import { PipelineError } from '../errors.ts';
import { openAppendedImage } from '../images/bridges/appended-image.node.ts';
import { importBmap } from '../images/bridges/bmap-import.node.ts';
import type { BridgeWork } from '../images/bridges/bridge-work.ts';
import { piecesOfImage } from '../images/bridges/image-pieces.node.ts';
import { checkRdiffSignature } from '../images/bridges/rdiff-check.node.ts';
import { applyRdiffDelta } from '../images/bridges/rdiff-delta.node.ts';
import { readRdiffSignature } from '../images/bridges/rdiff-signature.node.ts';
import { hasBmap } from '../images/delta/patch-sparse.node.ts';
import { refuseOutput } from '../images/refuse-output.node.ts';
import type { ImageSource } from '../images/source/image-source.node.ts';
import { type OpenedImage, openImage, sourceOf } from '../images/source/open-image.node.ts';
import { watchSource } from '../images/source/source-state.node.ts';
import { openStreamSink } from '../make/file-sink.node.ts';
import { readFully } from '../os/read.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { progressOf } from '../progress.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import type { Input } from './options.ts';
import { localPath } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

/** `sparse` is the same as `bmap`. */
export type ImportFormat = 'bmap' | 'sparse' | 'rdiff-sig' | 'rdiff-delta' | 'spgz';

export interface ImportOptions extends WorkOptions {
  /** A path; for `rdiff-sig` and `rdiff-delta` also a descriptor or a stream. */
  readonly input: Input;
  readonly label?: string;
  /** By default what the input looks like. */
  readonly format?: ImportFormat;
  /**
   * Path of the image that is made, which appears when it is complete; or, but for `bmap`, a descriptor.
   * `bmap` also writes to a device, and without an output checks only.
   */
  readonly output?: string | number;
  /** The old file: of `rdiff-delta`; of `rdiff-sig`, to be compared with the signature. */
  readonly base?: string;
  /** `bmap`: write to a device that is mounted or held. */
  readonly forceDevice?: boolean;
}

export interface ImportResult {
  readonly format: ImportFormat;
  /** Bytes of the image; undefined for a signature. */
  readonly size?: number;
  /** Bytes of it that were written. */
  readonly writtenBytes: number;
  /** Of a signature. */
  readonly signature?: RdiffSignatureHeader & { readonly blockCount: number };
  /** Blocks in which the old file differs from a signature. */
  readonly differentBlocks?: number;
  readonly totalMs: number;
}

type Imported = Omit<ImportResult, 'format' | 'totalMs'>;

interface Job {
  readonly options: ImportOptions;
  readonly work: BridgeWork;
}

/**
 * Checks or copies a sparse image with its block map, applies a delta of rdiff, reads a signature of
 * rdiff, or unpacks a file of spgz.
 * @throws CasError `USAGE`, `FORMAT`, `VERIFY_FAILED`, `SOURCE_CHANGED`, `UNSAFE_TARGET`, `TARGET_FULL`,
 * `ABORTED`, and what reading and writing throw
 */
export async function importImage(options: ImportOptions): Promise<ImportResult> {
  const started = performance.now();
  const format = options.format ?? formatOf(options);
  const { threadCount = defaultThreadCount(), signal, onProgress } = options;
  const work: BridgeWork = {
    threadCount,
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  };
  const imported = await FORMATS[format]({ options, work });
  return { format, ...imported, totalMs: performance.now() - started };
}

const FORMATS: Readonly<Record<ImportFormat, (job: Job) => Promise<Imported>>> = {
  bmap: importSparse,
  sparse: importSparse,
  'rdiff-sig': importSignature,
  'rdiff-delta': importDelta,
  spgz: importSpgz,
};

function pathOf({ input }: ImportOptions): string {
  if (typeof input === 'string') return localPath(input);
  throw new PipelineError('USAGE', { reason: 'This format needs an input with a name.' });
}

/** What a file begins with. */
function formatOf(options: ImportOptions): ImportFormat {
  if (typeof options.input === 'string') {
    const path = localPath(options.input);
    if (hasBmap(path.replace(/\.bmap$/, ''))) return 'bmap';
    const image = openImage(path);
    try {
      const head = headOf(image);
      if (isRdiffSignature(head)) return 'rdiff-sig';
      if (isRdiffDelta(head)) return 'rdiff-delta';
      if (decodeSpgzHead(head) !== undefined) return 'spgz';
    } finally {
      image.close();
    }
  }
  const reason = 'It is not to be seen what this is; expected --format=NAME.';
  throw new PipelineError('USAGE', { subject: labelOf(options), reason });
}

function labelOf({ label, input }: ImportOptions): string {
  return label ?? (typeof input === 'string' ? input : 'input');
}

function headOf({ descriptor, label }: OpenedImage): Uint8Array {
  const head = new Uint8Array(SPGZ_HEAD_LENGTH);
  try {
    return descriptor === undefined ? head : head.subarray(0, readFully(descriptor, head, 0));
  } catch (error) {
    throw systemFailure('read', error, label);
  }
}

async function importSparse({ options, work }: Job): Promise<Imported> {
  const { output, forceDevice = false } = options;
  if (typeof output === 'number') {
    throw new PipelineError('USAGE', { reason: 'This format needs an output with a name.' });
  }
  const path = pathOf(options).replace(/\.bmap$/, '');
  const target = output === undefined ? {} : { output: localPath(output) };
  return importBmap(path, { ...target, forceDevice }, work);
}

async function importSignature({ options, work }: Job): Promise<Imported> {
  const { input, output, base } = options;
  if (output !== undefined) {
    throw new PipelineError('USAGE', { reason: 'A signature is read only; no output expected.' });
  }
  const image = openImage(input, options);
  try {
    const signature = await readRdiffSignature(image, work.signal);
    const described = { ...signature.header, blockCount: signature.count };
    if (base === undefined) return { signature: described, writtenBytes: 0 };
    const compared = openImage(localPath(base));
    try {
      const checked = await checkRdiffSignature(signature, await sourceOf(compared), work);
      return { signature: described, writtenBytes: 0, ...checked };
    } finally {
      compared.close();
    }
  } finally {
    image.close();
  }
}

async function importDelta({ options, work }: Job): Promise<Imported> {
  if (options.base === undefined) {
    throw new PipelineError('USAGE', { reason: 'Expected the old file: --base=FILE.' });
  }
  const base = openImage(localPath(options.base));
  try {
    const delta = openImage(options.input, options);
    try {
      const pieces = piecesOfImage(delta.source(), work.signal);
      const { label } = delta;
      return await intoOutput(options, base, (output) =>
        applyRdiffDelta(base, { label, pieces }, output, work),
      );
    } finally {
      delta.close();
    }
  } finally {
    base.close();
  }
}

async function importSpgz({ options, work }: Job): Promise<Imported> {
  const image = openImage(pathOf(options), options);
  try {
    const source = await sourceOf(image);
    if (decodeSpgzHead(headOf(image)) === undefined) {
      throw about(image.label, new FormatError('spgz', 'header', 0, 'the magic expected'));
    }
    return await intoOutput(options, image, (output) => copy(source, output, work));
  } finally {
    image.close();
  }
}

interface Taker {
  readonly write: (bytes: Uint8Array) => Promise<void> | void;
}

async function copy(source: ImageSource, output: Taker, work: BridgeWork): Promise<void> {
  let done = 0;
  for await (const piece of piecesOfImage(source, work.signal)) {
    await output.write(piece);
    done += piece.length;
    work.onProgress?.(progressOf('import', done, source.size));
  }
}

/** Makes an image of something that must stay as it is meanwhile. */
async function intoOutput(
  options: ImportOptions,
  read: OpenedImage,
  write: (output: Taker) => Promise<unknown>,
): Promise<Imported> {
  const { output, input, base } = options;
  if (output === undefined) throw new PipelineError('USAGE', { reason: 'Expected an output.' });
  if (read.descriptor === undefined) {
    const reason = 'it is read at any place; a pipe cannot be';
    throw new PipelineError('USAGE', { subject: read.label, step: 'import', reason });
  }
  const checkSource = await watchSource(read, 'import');
  if (typeof output === 'number') return intoStream(output, write, checkSource);
  const path = localPath(output);
  refuseOutput(path, [typeof input === 'string' ? localPath(input) : undefined, base]);
  const image = openAppendedImage(path, read.mode);
  try {
    await write(image);
    checkSource();
    await image.commit();
    return { size: image.size, writtenBytes: image.writtenBytes };
  } finally {
    image.discard();
  }
}

async function intoStream(
  descriptor: number,
  write: (output: Taker) => Promise<unknown>,
  checkSource: () => void,
): Promise<Imported> {
  const sink = openStreamSink(descriptor);
  let size = 0;
  await write({
    write(bytes) {
      size += bytes.length;
      return sink.write(bytes);
    },
  });
  checkSource();
  await sink.commit();
  return { size, writtenBytes: size };
}
