/** What diff and verify compare: any input, opened, as a tree that is read entry by entry or as a blob. */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { FEATURE, maskFlags } from '../../formats/feature-flags.ts';
import type { ComparedBlob } from '../compare/compare-blobs.node.ts';
import {
  compareTrees,
  type EntryDifference,
  type TreeComparison,
} from '../compare/compare-trees.ts';
import { FolderTreeReader } from '../compare/folder-tree-reader.node.ts';
import { nodeReducer } from '../compare/reduce-node.ts';
import { ArchiveReader } from '../compare/tree-reader.ts';
import { PipelineError } from '../errors.ts';
import { blobSize } from '../make/blob.node.ts';
import type { ByteSource } from '../read/byte-source.ts';
import { openIndexSource } from '../read/index-source.node.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { shownFlags } from './features.ts';
import { folderFlags, walkOptions } from './folder.node.ts';
import {
  chunksWith,
  type OpenedInput,
  openInput,
  openSource,
  openSourceHere,
  readIndex,
} from './input.node.ts';
import { type InputKind, kindOfPath } from './kinds.ts';
import type { ComparedInput, FolderOptions } from './options.ts';
import { describeStoresForReading } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

/** An opened input. */
export class Compared {
  readonly kind: InputKind;
  readonly index: ChunkIndex | undefined;
  readonly #opened: OpenedInput;
  readonly #input: ComparedInput;
  readonly #work: WorkOptions;
  #source: ByteSource | undefined;
  #folder: FolderTreeReader | undefined;

  private constructor(
    opened: OpenedInput,
    input: ComparedInput,
    work: WorkOptions,
    index: ChunkIndex | undefined,
    source: ByteSource | undefined,
  ) {
    this.kind = kindOf(opened, input);
    this.index = index;
    this.#opened = opened;
    this.#input = input;
    this.#work = work;
    this.#source = source;
  }

  /** @throws CasError if it cannot be opened, or is an index that cannot be read */
  static async open(input: ComparedInput, work: WorkOptions): Promise<Compared> {
    const opened = openInput({ ...work, ...input });
    try {
      const kind = kindOf(opened, input);
      const isIndex = kind === 'archive-index' || kind === 'blob-index';
      const index = isIndex ? await readIndex(opened, work) : undefined;
      const isRemote = index === undefined && opened.form === 'remote';
      const source = isRemote ? await openSource(opened, work) : undefined;
      return new Compared(opened, input, work, index, source);
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  get label(): string {
    return this.#opened.label;
  }

  get isTree(): boolean {
    return this.kind !== 'blob' && this.kind !== 'blob-index';
  }

  get isFolder(): boolean {
    return this.kind === 'directory';
  }

  /** The bytes: of a file or stream, or those behind an index. Opened once. */
  readonly source = (): ByteSource => {
    this.#source ??= this.index ? this.#openIndex(this.index) : this.#openHere();
    return this.#source;
  };

  /** Of an archive. */
  archiveReader(): ArchiveReader {
    const { index } = this;
    return new ArchiveReader(this.source(), { ...this.#work, ...(index ? { index } : {}) });
  }

  /** Of a folder. @param flags what of it is read */
  folderReader(flags: bigint, options: FolderOptions): FolderTreeReader {
    if (this.#opened.form !== 'file') throw new TypeError('this is no folder');
    this.#folder = new FolderTreeReader(this.#opened.descriptor, {
      ...walkOptions(this.#opened, { ...options, ...this.#work }),
      featureFlags: flags,
      applyExcludeFiles: (flags & FEATURE.excludeFile) !== 0n,
    });
    return this.#folder;
  }

  blob(): ComparedBlob {
    const { index, source: open } = this;
    const opened = this.#opened;
    if (index) return { open, index, size: index.totalSize, isDevice: false };
    if (opened.form === 'stream' || opened.form === 'remote') {
      const { size } = open();
      return { open, isDevice: false, ...(size !== undefined && { size }) };
    }
    if (opened.form === 'bytes') return { open, size: opened.bytes.length, isDevice: false };
    const { descriptor, label, stats } = opened;
    const size = blobSize(descriptor, label);
    return { open, file: { descriptor, label }, size, isDevice: stats.isBlockDevice() };
  }

  async close(): Promise<void> {
    this.#folder?.close();
    await this.#source?.close();
    this.#opened.close();
  }

  #openHere(): ByteSource {
    if (this.#opened.form === 'remote') throw new TypeError('opened with the input');
    return openSourceHere(this.#opened);
  }

  #openIndex(index: ChunkIndex): ByteSource {
    const { threadCount = defaultThreadCount(), signal } = this.#work;
    const { input } = this.#input;
    const path = typeof input === 'string' ? input : undefined;
    return openIndexSource(index, {
      source: describeStoresForReading(this.#input, path, index.digest, chunksWith(this.#opened)),
      threadCount,
      label: this.label,
      ...(signal ? { signal } : {}),
    });
  }
}

function kindOf(opened: OpenedInput, { kind, input }: ComparedInput): InputKind {
  if (opened.form === 'file' && opened.stats.isDirectory()) return 'directory';
  const named = kind ?? kindOfPath(input) ?? 'blob';
  if (named !== 'directory') return named;
  const reason = 'Input is a regular file, but attempted to list it as directory.';
  throw new PipelineError('USAGE', { subject: opened.label, reason });
}

export interface CompareOptions extends FolderOptions {
  readonly onDifference: (difference: EntryDifference) => Promise<void> | undefined;
}

/** Compares two trees by the features that both have and the options let pass. */
export async function compareInputs(
  before: Compared,
  after: Compared,
  options: CompareOptions,
): Promise<TreeComparison> {
  const readers = [before, after].map((side) => (side.isFolder ? undefined : side.archiveReader()));
  const [left, right] = readers;
  const recorded: bigint[] = [];
  for (const reader of readers) if (reader) recorded.push(await reader.readFlags());
  const [first, second = first] = recorded;
  const flags =
    first === undefined
      ? folderFlags(options)
      : maskFlags(shownFlags(first, options), second ?? first);
  return compareTrees(
    left ?? before.folderReader(flags, options),
    right ?? after.folderReader(flags, options),
    { reduce: nodeReducer(flags), onDifference: options.onDifference },
  );
}
