/** Digests of archives and of parts of byte sources. */
import type { CatarEvent } from '../../formats/catar-events.ts';
import type { ChunkId, DigestName } from '../../formats/chunk-id.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import type { Digest, DigestStream } from '../../store/transforms.ts';
import { throwIfAborted } from '../errors.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import type { Breather } from '../work/breathe.ts';
import { type ReadArchiveOptions, readArchive } from './archive.ts';
import type { ByteSource } from './byte-source.ts';

export interface DigestArchiveOptions extends Omit<ReadArchiveOptions, 'skipPayloads'> {
  /** Told of each event. */
  readonly onEvent?: (event: CatarEvent) => void;
}

/**
 * Digest of the archive's bytes by the algorithm that the archive names, while its structure is
 * checked. Bytes behind the archive do not count.
 * @throws FormatError if it is no valid archive
 */
export async function digestArchive(
  source: ByteSource,
  digestFor: (name: DigestName) => Digest,
  options: DigestArchiveOptions,
): Promise<ChunkId> {
  let stream: DigestStream | undefined;
  let last = { offset: 0, bytes: new Uint8Array(0) };
  /** Bytes that came before the record that names the algorithm was complete. */
  const backlog: Uint8Array[] = [];

  /** The parser has taken what was read before `offset`. */
  function consumed(offset: number): void {
    const taken = last.bytes.subarray(0, offset - last.offset);
    if (!stream) {
      backlog.push(taken.slice());
      return;
    }
    for (const bytes of backlog.splice(0)) stream.update(bytes);
    stream.update(taken);
  }

  const watched: ByteSource = {
    ...source,
    async read(offset) {
      consumed(offset);
      last = { offset, bytes: new Uint8Array(0) };
      last = { offset, bytes: (await source.read(offset)) as Uint8Array<ArrayBuffer> };
      return last.bytes;
    },
  };
  const end = await readArchive(
    watched,
    (event) => {
      if (event.kind === 'enter') {
        stream ??= digestFor(digestOfFlags(event.node.featureFlags)).stream();
      }
      options.onEvent?.(event);
      return undefined;
    },
    options,
  );
  consumed(end);
  stream ??= digestFor('sha256').stream();
  return stream.finish();
}

export interface DigestRangeOptions {
  readonly digest: Digest;
  readonly signal?: AbortSignal;
  readonly breathe?: Breather;
  readonly onProgress?: ProgressSink;
}

/** Digest of the bytes from `start` up to `end` (or the source's end, if that comes first). */
export async function digestRange(
  source: ByteSource,
  start: number,
  end: number,
  options: DigestRangeOptions,
): Promise<ChunkId> {
  const stream = options.digest.stream();
  for (let offset = start; offset < end; ) {
    throwIfAborted(options.signal);
    await options.breathe?.();
    const bytes = await source.read(offset, end);
    if (bytes.length === 0) break;
    const wanted = bytes.subarray(0, end - offset);
    stream.update(wanted);
    offset += wanted.length;
    options.onProgress?.(progressOf('digest', offset - start, end - start));
  }
  return stream.finish();
}
