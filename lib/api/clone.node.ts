/** `clone` of the library: a folder becomes equal to another one (spec/api.md, "clone"). */
import { readSync } from 'node:fs';
import type { EnterEvent } from '../../formats/catar-events.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { HardLinkFiles } from '../extract/hard-link-files.node.ts';
import { TreeExtractor } from '../extract/tree.node.ts';
import type { SharedFile } from '../extract/updated-content.node.ts';
import { FolderReader } from '../make/folder-reader.node.ts';
import type { HeldEntry } from '../make/held-entry.node.ts';
import { hasChanged, statDescriptor } from '../os/file-stat.node.ts';
import { fileSystemType, syncFileSystemOf } from '../os/file-system.node.ts';
import { nextData, nextHole } from '../os/holes.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { progressOf } from '../progress.ts';
import { PathTracker } from '../read/path-tracker.ts';
import type { CloneStatistics } from '../statistics.ts';
import { createBreather } from '../work/breathe.ts';
import { defaultThreadCount, openJobPool } from '../work/job-pool.node.ts';
import type { JobPool } from '../work/jobs.node.ts';
import { checkClonePlaces } from './clone-places.node.ts';
import { type EntryEvents, entriesThenFeatures } from './entries.ts';
import { shownFlags } from './features.ts';
import { folderFlags } from './folder.node.ts';
import type { FolderOptions } from './options.ts';
import type { WorkOptions } from './work-options.ts';

export interface CloneOptions extends FolderOptions, EntryEvents, WorkOptions {
  /** Path of the folder that is read. */
  readonly source: string;
  /** Path of the folder that is made, or made equal. */
  readonly target: string;
  /** Remove what the target holds besides; default true. */
  readonly delete?: boolean;
  /** Clear the chattr flag of what must be replaced or removed; default false. */
  readonly undoImmutable?: boolean;
  /** Leave holes where there are zeros; default true. */
  readonly punchHoles?: boolean;
  /** Share blocks where the file system can; default true. */
  readonly reflink?: boolean;
  /** Wait until the result is on disk; default false. */
  readonly fsync?: boolean;
}

export interface CloneResult {
  /** False if something changed or vanished while it was read. */
  readonly isComplete: boolean;
  readonly statistics: CloneStatistics;
}

/**
 * Makes `target` equal to `source`; what is equal already stays untouched. Several names of one file
 * become files of their own, which share their blocks where the file system can.
 * @throws CasError `USAGE` if one folder is in the other, `SOURCE_CHANGED`, `ABORTED`, and what reading
 * and writing throw
 */
export async function clone(options: CloneOptions): Promise<CloneResult> {
  checkClonePlaces(options.source, options.target);
  const cloning = new Cloning(options);
  try {
    return await cloning.run();
  } finally {
    await cloning.close();
  }
}

/** Fewer entries than this are not worth a thread. */
const WORTH_THREADS = 2000;
const PIECE_LENGTH = 1024 * 1024;
/** Smaller files are copied: they have hardly a block to share. */
const LEAST_SHARED = 4096;
/** If so many files in a row cannot share their blocks, no others will. */
const ENOUGH_REFUSALS = 3;

class Cloning {
  readonly #options: CloneOptions;
  readonly #featureFlags: bigint;
  readonly #started = performance.now();
  readonly #path = new PathTracker();
  readonly #pool: JobPool;
  readonly #links = new HardLinkFiles();
  readonly #reader: FolderReader;
  readonly #buffer = Buffer.allocUnsafeSlow(PIECE_LENGTH);
  readonly #breathe = createBreather();
  #extractor: TreeExtractor | undefined;
  /** Files in a row whose blocks could not be shared. */
  #refusals = 0;
  #entryCount = 0;
  #doneBytes = 0;
  #isComplete = true;

  constructor(options: CloneOptions) {
    this.#options = options;
    const { excludeFile = true, signal, onUnavailable } = options;
    this.#featureFlags = featuresToClone(options);
    this.#pool = openJobPool({}, options.threadCount ?? defaultThreadCount());
    this.#reader = new FolderReader({
      label: options.source,
      featureFlags: this.#featureFlags,
      applyExcludeFiles: excludeFile,
      contents: 'skip',
      onIncomplete: (label, reason) => this.#report(label, reason),
      ...(onUnavailable ? { onUnavailable } : {}),
      ...(signal ? { signal } : {}),
    });
  }

  async run(): Promise<CloneResult> {
    const { source, target, fsync = false } = this.#options;
    try {
      const root = this.#reader.openRoot(Buffer.from(source));
      this.#extractor = this.#openExtractor();
      if (!mayShareBlocks(source, target)) this.#refusals = ENOUGH_REFUSALS;
      await this.#enter(this.#extractor, root.event);
      for (const event of this.#reader.walk(root)) {
        await this.#breathe();
        if (event.kind === 'enter') await this.#enter(this.#extractor, event);
        else await this.#leave(this.#extractor);
      }
      await this.#extractor.finish();
      if (fsync) await syncFileSystemOf(target);
    } catch (error) {
      throw (await this.#extractor?.firstError(error)) ?? error;
    }
    const { holeBytes, reflinkBytes, keptBytes } = this.#extractor.statistics;
    const byteCount = this.#doneBytes;
    const totalMs = performance.now() - this.#started;
    const statistics = { byteCount, holeBytes, reflinkBytes, keptBytes, totalMs };
    return { isComplete: this.#isComplete, statistics };
  }

  async close(): Promise<void> {
    await this.#extractor?.abort();
    await this.#pool.close();
    this.#links.close();
    this.#reader.close();
  }

  #openExtractor(): TreeExtractor {
    const { target, uidShift, undoImmutable = false, punchHoles = true } = this.#options;
    const { reflink = true } = this.#options;
    const onEntry = entriesThenFeatures(this.#options, this.#featureFlags);
    return new TreeExtractor(target, {
      run: (input) => this.#pool.run('restoreEntries', input),
      replayFlags: shownFlags(this.#featureFlags, {}),
      deleteExtra: this.#options.delete ?? true,
      undoImmutable,
      punchHoles,
      reflink,
      ...(reflink ? { sharedFile: () => this.#sharedFile() } : {}),
      ...(uidShift ? { uidShift } : {}),
      ...(onEntry ? { onEntry } : {}),
    });
  }

  async #enter(extractor: TreeExtractor, event: EnterEvent): Promise<void> {
    this.#path.enter(event.name);
    this.#entryCount += 1;
    if (this.#entryCount === WORTH_THREADS) this.#pool.start();
    await extractor.handle(event);
    const { node } = event;
    const file = node.type === 'file' ? this.#reader.enteredFile : undefined;
    if (file?.fd === undefined) return;
    // Nothing of an empty file is read, so nothing can be mixed.
    if (node.size > 0) await this.#copy(extractor, file, file.fd, node.size);
    this.#doneBytes += node.size;
    this.#options.onProgress?.(progressOf('clone', this.#doneBytes));
  }

  async #leave(extractor: TreeExtractor): Promise<void> {
    await extractor.handle({ kind: 'leave' });
    this.#path.leave();
  }

  /** What the file that is entered can share its blocks with. */
  #sharedFile(): SharedFile | undefined {
    const file = this.#reader.enteredFile;
    if (file?.fd === undefined || file.stat.size < LEAST_SHARED) return undefined;
    const { stat } = file;
    const hasMoreNames = stat.linkCount > 1;
    const isHopeless = this.#refusals >= ENOUGH_REFUSALS;
    const earlier = hasMoreNames ? this.#links.find(stat) : undefined;
    if (earlier !== undefined) return { fd: earlier };
    if (isHopeless && !hasMoreNames) return undefined;
    return {
      fd: file.fd,
      onRefused: () => {
        this.#refusals += 1;
      },
      onDone: (fd) => {
        if (hasMoreNames) this.#links.add(stat, fd);
      },
    };
  }

  /** Gives the content of a file to the extractor, as far as that wants it. */
  async #copy(extractor: TreeExtractor, file: HeldEntry, fd: number, size: number): Promise<void> {
    const refusals = this.#refusals;
    for (let offset = 0; offset < size && extractor.wantsContent; ) {
      throwIfAborted(this.#options.signal);
      const data = Math.min(size, nextData(fd, offset) ?? size);
      if (data > offset) await extractor.skip(data - offset);
      offset = data;
      const hole = Math.min(size, nextHole(fd, offset) ?? size);
      while (offset < hole && extractor.wantsContent) {
        const length = this.#read(fd, offset, Math.min(PIECE_LENGTH, hole - offset));
        if (length === 0) throw this.#shrunk(offset, size);
        await extractor.handle({ kind: 'data', bytes: this.#buffer.subarray(0, length) });
        offset += length;
        await this.#breathe();
        this.#options.onProgress?.(progressOf('clone', this.#doneBytes + offset));
      }
    }
    if (refusals === this.#refusals && !extractor.wantsContent) this.#refusals = 0;
    const after = statDescriptor(fd);
    if (after.size < size) throw this.#shrunk(after.size, size);
    if (hasChanged(file.stat, after)) {
      this.#report(this.#label(), 'file changed while it was read');
    }
  }

  #read(fd: number, offset: number, length: number): number {
    throwIfAborted(this.#options.signal);
    try {
      return readSync(fd, this.#buffer, 0, length, offset);
    } catch (error) {
      throw systemFailure('read', error, this.#label());
    }
  }

  #label(): string {
    return `${this.#options.source.replace(/\/$/, '')}/${escapeBytes(this.#path.path)}`;
  }

  #report(label: string, reason: string): void {
    this.#isComplete = false;
    this.#options.onIncomplete?.(label, reason);
  }

  #shrunk(offset: number, size: number): PipelineError {
    const reason = `file became shorter while it was read (${offset} of ${size} bytes)`;
    return new PipelineError('SOURCE_CHANGED', { subject: this.#label(), step: 'read', reason });
  }
}

/** File systems that are common and cannot share blocks: ext2 to ext4, tmpfs, FAT. */
const WITHOUT_SHARING: ReadonlySet<number> = new Set([0xef53, 0x01021994, 0x4d44]);

/** Whether it is worth trying; saves the detour of small files where it is not. */
function mayShareBlocks(source: string, target: string): boolean {
  const type = fileSystemType(Buffer.from(`${source}/.`));
  return type === fileSystemType(Buffer.from(`${target}/.`)) && !WITHOUT_SHARING.has(type);
}

/** Numbers say all there is to say of owners on one machine; names could lead to others. */
function featuresToClone(options: CloneOptions): bigint {
  const flags = folderFlags(options);
  const hasNumbers = (flags & (FEATURE.uids16 | FEATURE.uids32)) !== 0n;
  return hasNumbers ? flags & ~FEATURE.userNames : flags;
}
