/**
 * An input that is read anywhere and not only front to back: what mount, mkdev, serve-nbd and cat open
 * (spec/api.md, "Inputs").
 */
import { PipelineError } from '../errors.ts';
import type { BlobReader } from '../read/blob-reader.ts';
import { openBytesBlob } from '../read/bytes-blob.ts';
import { openFileBlob } from '../read/file-blob.node.ts';
import { openIndexBlob } from '../read/index-blob.node.ts';
import { indexIdentity } from '../read/index-identity.node.ts';
import { openRemoteBlob } from '../read/remote-blob.node.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import { openIndexSources } from './behind-index.node.ts';
import { chunksWith, type OpenedInput, openInput, readIndex } from './input.node.ts';
import type { InputKind } from './kinds.ts';
import type { InputOptions, SeedOptions, StoreOptions } from './options.ts';

export interface OpenBlobOptions extends InputOptions, StoreOptions, SeedOptions {
  readonly kind: Exclude<InputKind, 'directory'>;
  /** Memory for chunks that were read, in bytes. */
  readonly cacheSize?: number;
  /** `false`: nothing is fetched that was not asked for; for whoever knows what he wants. */
  readonly readAhead?: boolean;
}

/** A blob or archive that is open. */
export interface OpenedBlob {
  /** Closing it closes the input, too. */
  readonly reader: BlobReader;
  /** Feature flags that an archive must carry, known from its index. */
  readonly expectedFlags?: bigint;
  /** What its bytes are recognised by, where that is known without reading them. */
  readonly identity?: () => Uint8Array;
}

/**
 * Opens a blob, an archive or what is behind an index.
 * @throws CasError `USAGE` for what can only be read front to back; what reading an index throws
 */
export async function openBlob(options: OpenBlobOptions): Promise<OpenedBlob> {
  const input = openInput(options);
  try {
    const opened = await openReader(input, options);
    return { ...opened, reader: closingAlso(opened.reader, () => input.close()) };
  } catch (error) {
    input.close();
    throw error;
  }
}

async function openReader(input: OpenedInput, options: OpenBlobOptions): Promise<OpenedBlob> {
  const { kind, cacheSize, readAhead, threadCount = defaultThreadCount() } = options;
  // The thread that answers has no time for chunks.
  const loaderCount = threadCount === 0 ? 0 : threadCount + 1;
  const { label } = input;
  if (kind !== 'archive-index' && kind !== 'blob-index') {
    return { reader: await openPlain(input, options) };
  }
  const index = await readIndex(input, options);
  const chunks = chunksWith(input);
  const { source, seeds } = await openIndexSources(index, {
    ...options,
    ...(chunks && { chunks }),
  });
  const reader = openIndexBlob(index, {
    label,
    source,
    seeds,
    threadCount: loaderCount,
    ...(cacheSize === undefined ? {} : { cacheSize }),
    ...(readAhead === undefined ? {} : { readAhead }),
  });
  const identity = (): Uint8Array => indexIdentity(index);
  return {
    reader: closingAlso(reader, () => seeds.map((seed) => seed.close())),
    identity,
    ...(kind === 'archive-index' ? { expectedFlags: index.featureFlags } : {}),
  };
}

async function openPlain(
  input: OpenedInput,
  { cacheSize, readAhead, signal }: OpenBlobOptions,
): Promise<BlobReader> {
  const { form, label } = input;
  if (form === 'remote') {
    return openRemoteBlob(input.file, {
      ...(cacheSize !== undefined && { cacheSize }),
      ...(readAhead !== undefined && { readAhead }),
      ...(signal && { signal }),
    });
  }
  if (form === 'bytes') return openBytesBlob(input.bytes, label);
  if (form === 'file' && !input.stats.isDirectory()) return openFileBlob(input.descriptor, label);
  throw new PipelineError('USAGE', { subject: label, reason: 'Seekable archive required.' });
}

/** The same reader; closing it closes something else, too. */
function closingAlso(reader: BlobReader, closeOther: () => void): BlobReader {
  let closing: Promise<void> | undefined;
  const unitAt = reader.unitAt?.bind(reader);
  return {
    label: reader.label,
    size: reader.size,
    read: (range, options) => reader.read(range, options),
    extentAt: (offset) => reader.extentAt(offset),
    ...(unitAt === undefined ? {} : { unitAt }),
    close() {
      closing ??= reader.close().finally(closeOther);
      return closing;
    },
  };
}
