/**
 * The check of chunks in stores on other machines: each is fetched, decompressed and compared with its
 * id, and all that is wrong is reported (spec/promises.md, 11). Used by `verify`.
 */
import { type ChunkId, chunkIdFromBytes, parseChunkId } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import { parseChunkKey } from '../../formats/chunk-path.ts';
import { isCasError } from '../../formats/errors.ts';
import type { ChunkSource } from '../../store/chunk-store.ts';
import { LEASE_FOLDER } from '../../store/lease-objects.ts';
import { placeLabel } from '../../store/location.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { openChunkSources } from '../stores/chunk-sources.node.ts';
import { openRemoteBackend } from '../stores/remote-store.node.ts';
import type { RemoteStoreDescription, StoreDescription } from '../stores/store-description.ts';
import { ChunkIdSet } from './chunk-id-set.ts';
import {
  distinctBytes,
  isGone,
  kindOf,
  type StoreProblem,
  type VerifyStoreOptions,
  type VerifyStoreResult,
} from './verify-store.node.ts';

/** A chunk to look at. */
interface Wanted {
  readonly id: ChunkId;
  /** Plain bytes, if an index says them. */
  readonly size?: number;
  /** Where it was found by its name. */
  readonly path?: string;
}

type Options = Omit<VerifyStoreOptions, 'indexes' | 'extraStores'>;

const AT_A_TIME = 64;
const MAX_PROBLEMS = 100_000;
const CHUNK_NAME = /^[0-9a-f]{4}\/([0-9a-f]{64})(.*)$/;

/** Checks everything in a store. @throws PipelineError `UNSUPPORTED`, `ABORTED`; StorageError */
export async function verifyStoreElsewhere(
  description: RemoteStoreDescription,
  options: Options,
): Promise<VerifyStoreResult> {
  const check = new ElsewhereCheck(options);
  const { suffix, place } = description;
  const backend = await openRemoteBackend(description);
  try {
    if (!backend?.can.list) {
      const reason = 'The chunks of such a store cannot be listed from here.';
      throw new PipelineError('UNSUPPORTED', { subject: placeLabel(place), reason });
    }
    const keys = backend.list('', options.signal ? { signal: options.signal } : {});
    await check.run([{ ...description, digests: ['sha256', 'sha512-256'] }], async function* () {
      for await (const { key } of keys) {
        const wanted = check.named(key, suffix);
        if (wanted !== undefined) yield wanted;
      }
    });
  } finally {
    await backend?.close();
  }
  return check.result();
}

/** Checks the chunks that an index needs. @throws PipelineError `ABORTED` */
export async function verifyIndexElsewhere(
  index: ChunkIndex,
  sources: readonly StoreDescription[],
  options: Options,
): Promise<VerifyStoreResult> {
  const check = new ElsewhereCheck(options, distinctBytes([index]));
  await check.run(sources, async function* () {
    const seen = new ChunkIdSet();
    for (let chunk = 0; chunk < index.count; chunk++) {
      const bytes = index.idBytes(chunk);
      if (seen.add(bytes)) yield { id: chunkIdFromBytes(bytes), size: index.size(chunk) };
    }
  });
  return check.result();
}

class ElsewhereCheck {
  readonly #options: Options;
  readonly #totalBytes: number | undefined;
  readonly #problems: StoreProblem[] = [];
  readonly #counts = { damaged: 0, missing: 0, unreadable: 0, misplaced: 0, foreign: 0 };
  #chunkCount = 0;
  #goodBytes = 0;

  constructor(options: Options, totalBytes?: number) {
    this.#options = options;
    this.#totalBytes = totalBytes;
  }

  result(): VerifyStoreResult {
    return {
      chunkCount: this.#chunkCount,
      goodBytes: this.#goodBytes,
      temporaryCount: 0,
      problemCounts: this.#counts,
      problems: this.#problems,
    };
  }

  async run(
    sources: readonly StoreDescription[],
    wanted: () => AsyncGenerator<Wanted>,
  ): Promise<void> {
    const source = openChunkSources(sources);
    const running = new Set<Promise<void>>();
    try {
      for await (const one of wanted()) {
        throwIfAborted(this.#options.signal);
        const checked = this.#check(source, one).finally(() => running.delete(checked));
        running.add(checked);
        void checked.catch(() => {});
        if (running.size >= AT_A_TIME) await Promise.race(running);
      }
      await Promise.all(running);
    } finally {
      await Promise.allSettled(running);
      await source.close();
    }
  }

  /** The chunk that a key names; reports whatever else is there. */
  named(path: string, suffix: string): Wanted | undefined {
    const id = parseChunkKey(path, suffix) ?? parseChunkKey(path, '');
    if (id !== undefined) return { id, path };
    if (path.startsWith(`${LEASE_FOLDER}/`)) return undefined;
    const [, digits = '', ending = ''] = CHUNK_NAME.exec(path) ?? [];
    const misplaced = ending === suffix || ending === '' ? parseChunkId(digits) : undefined;
    if (misplaced === undefined) {
      this.#report({ kind: 'foreign', path, reason: 'not a chunk (file)' });
    } else {
      const reason = `belongs into ${misplaced.slice(0, 4)}`;
      this.#report({ kind: 'misplaced', id: misplaced, path, reason });
    }
    return undefined;
  }

  async #check(source: ChunkSource, { id, size, path }: Wanted): Promise<void> {
    const { signal, onProgress } = this.#options;
    try {
      const plain = await source.get(id, {
        ...(size === undefined ? {} : { expectedSize: size }),
        ...(signal ? { signal } : {}),
      });
      this.#goodBytes += plain.length;
    } catch (error) {
      throwIfAborted(signal);
      if (!isCasError(error)) throw error;
      const { code, reason } = error;
      // Found by its name and gone since: somebody has removed it, and that is no damage.
      if (!isGone(code) || path === undefined) {
        this.#report({ kind: kindOf(code), id, reason, ...(path === undefined ? {} : { path }) });
      }
    }
    this.#chunkCount += 1;
    onProgress?.({
      phase: 'verify',
      doneBytes: this.#goodBytes,
      chunkCount: this.#chunkCount,
      ...(this.#totalBytes === undefined ? {} : { totalBytes: this.#totalBytes }),
    });
  }

  #report(problem: StoreProblem): void {
    this.#counts[problem.kind] += 1;
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem);
    this.#options.onProblem?.(problem);
  }
}
