/**
 * What the library's functions read: a path, an open descriptor, bytes or a stream of bytes
 * (spec/api.md, "Inputs"). Opened once, whatever it is.
 */
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { about, LimitExceeded } from '../../formats/errors.ts';
import { decodeIndex } from '../../formats/index-codec.ts';
import { type Place, suffixKind } from '../../store/location.ts';
import type { RemoteFile } from '../../store/remote-file.ts';
import type { StoredChunkSource } from '../../store/stored-chunk.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { readBlob, readDescriptor } from '../make/blob.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import type { ByteSource } from '../read/byte-source.ts';
import { openBytesSource, openFileSource, openStreamSource } from '../read/file-source.node.ts';
import { openRemoteSource } from '../read/remote-source.node.ts';
import { openRemoteFile } from '../stores/remote-file.node.ts';
import type { InputOptions, StoreOptions } from './options.ts';
import { localPath, mainStore, remotePlace, settingsOf } from './stores.node.ts';
import { untilAborted } from './until-aborted.ts';
import type { WorkOptions } from './work-options.ts';

/** An open regular file, block device or directory. */
export interface OpenedFile {
  readonly form: 'file';
  readonly label: string;
  readonly descriptor: number;
  readonly stats: Stats;
  readonly close: () => void;
}

/** An index or archive on another machine. */
export interface RemoteInput {
  readonly form: 'remote';
  readonly label: string;
  readonly file: RemoteFile;
  /** Chunks of the index's first store, if they come from where it comes from. */
  readonly chunks?: StoredChunkSource;
  readonly close: () => void;
}

export type OpenedInput =
  | OpenedFile
  | RemoteInput
  | {
      readonly form: 'bytes';
      readonly label: string;
      readonly bytes: Uint8Array;
      readonly close: () => void;
    }
  /** Can only be read once, front to back. */
  | {
      readonly form: 'stream';
      readonly label: string;
      readonly pieces: AsyncIterable<Uint8Array>;
      /** Of what the pieces are read from, if that is an open descriptor. */
      readonly stats?: Stats;
      readonly close: () => void;
    };

const STDIN = 0;
/** Opening a fifo must not wait for a writer. */
const OPEN_FOR_READING = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
/** Bytes of an index with as many chunks as are allowed, generously. */
const LONGEST_INDEX = 48 * DEFAULT_DECODE_LIMITS.maxChunkCount;
const UNFIT = 'Input is a neither a directory, a regular file, nor a block device. Refusing.';

function nothingToClose(): void {}

/** @throws PipelineError about the path; `INDEX_MISSING` if it should be an archive or index */
export function openInput(
  options: InputOptions & StoreOptions & { readonly kind?: string },
): OpenedInput {
  const { input, label, signal } = options;
  if (typeof input === 'string') {
    const place = remotePlace(input);
    if (place === undefined) return openPath(localPath(input), label ?? input);
    return openRemote(input, place, options);
  }
  if (typeof input === 'number') return openDescriptor(input, label, signal);
  const named = { label: label ?? 'input', close: nothingToClose };
  if (input instanceof Uint8Array) return { form: 'bytes', ...named, bytes: input };
  const pieces = signal === undefined ? input : untilAborted(input, signal);
  return { form: 'stream', ...named, pieces };
}

function openRemote(
  locator: string,
  place: Place,
  options: InputOptions & StoreOptions & { readonly kind?: string },
): RemoteInput {
  const kind = options.kind ?? suffixKind(locator);
  const store = remotePlace(mainStore(options, locator));
  const { file, chunks } = openRemoteFile(place, {
    settings: settingsOf(locator, options),
    kind: kind === 'archive' || kind === 'blob' ? 'archive' : 'index',
    ...(store && { store }),
  });
  return {
    form: 'remote',
    label: options.label ?? file.label,
    file,
    ...(chunks && { chunks }),
    close: () => void file.close(),
  };
}

function openPath(path: string, label: string): OpenedFile {
  let descriptor: number;
  try {
    descriptor = openSync(path, OPEN_FOR_READING);
  } catch (error) {
    const failure = systemFailure('open', error, label);
    if (errnoOf(error) !== 'ENOENT' || suffixKind(path) === undefined) throw failure;
    const { step = '', reason } = failure;
    throw new PipelineError('INDEX_MISSING', { subject: label, step, reason, cause: error });
  }
  const stats = fstatSync(descriptor);
  if (!isFile(stats)) {
    closeSync(descriptor);
    throw new PipelineError('USAGE', { subject: label, reason: UNFIT });
  }
  return { form: 'file', label, descriptor, stats, close: () => closeSync(descriptor) };
}

function openDescriptor(
  descriptor: number,
  given: string | undefined,
  signal: AbortSignal | undefined,
): OpenedInput {
  const usual = descriptor === STDIN ? 'standard input' : `descriptor ${descriptor}`;
  const label = given ?? usual;
  const stats = fstatSync(descriptor);
  const opened = { label, stats, close: nothingToClose };
  if (isFile(stats)) return { form: 'file', ...opened, descriptor };
  return { form: 'stream', ...opened, pieces: readDescriptor(descriptor, { label, signal }) };
}

function isFile(stats: Stats): boolean {
  return stats.isFile() || stats.isBlockDevice() || stats.isDirectory();
}

/** The bytes of an archive or blob. Closing the source leaves the input open. */
export async function openSource(
  input: OpenedInput,
  { signal }: WorkOptions = {},
): Promise<ByteSource> {
  if (input.form === 'remote') return openRemoteSource(input.file, signal);
  return openSourceHere(input);
}

/** The same for what is on this machine. */
export function openSourceHere(input: Exclude<OpenedInput, RemoteInput>): ByteSource {
  if (input.form === 'bytes') return openBytesSource(input.bytes, input.label);
  if (input.form === 'stream') return openStreamSource(input.pieces, input.label);
  return { ...openFileSource(input.descriptor, input.label), close: async () => {} };
}

export interface PieceOptions {
  /** Told when the input changed while it was read. */
  readonly onIncomplete?: (label: string, reason: string) => void;
}

/** The bytes of a blob in pieces that are valid until the next is taken. */
export function piecesOf(
  input: OpenedInput,
  { onIncomplete = nothingToClose, signal }: PieceOptions & WorkOptions = {},
): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (input.form === 'remote') return input.file.read(signal ? { signal } : {});
  if (input.form === 'bytes') return [input.bytes];
  if (input.form === 'stream') return input.pieces;
  return readBlob(input.descriptor, { label: input.label, onIncomplete });
}

/** Chunks of the first store that come with the index. */
export function chunksWith(input: OpenedInput): StoredChunkSource | undefined {
  return input.form === 'remote' ? input.chunks : undefined;
}

/** Reads an index. @throws FormatError named after the input */
export async function readIndex(
  input: OpenedInput,
  options: PieceOptions & WorkOptions,
): Promise<ChunkIndex> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const piece of piecesOf(input, options)) {
    throwIfAborted(options.signal);
    length += piece.length;
    if (length > LONGEST_INDEX) {
      const reason = `more than ${DEFAULT_DECODE_LIMITS.maxChunkCount} chunks`;
      throw new LimitExceeded({ subject: input.label, step: 'read index', reason });
    }
    parts.push(Buffer.from(piece));
  }
  try {
    return decodeIndex(Buffer.concat(parts));
  } catch (error) {
    throw about(input.label, error);
  }
}
