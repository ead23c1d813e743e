/**
 * Archive events in, a tree out. What is there already stays if it is right. Otherwise the new entry
 * is made under a temporary name inside of its confined directory, completed, and then renamed over
 * the old one, so that a file is old or new, never a mixture (spec/promises.md, 3, 5 and 6). Most
 * entries are simple and go to a sink of their own. Used by `extract` and `clone`.
 */
import { mkdirSync } from 'node:fs';
import { concatBytes } from '../../formats/bytes.ts';
import type { CatarEvent, CatarNode, EnterEvent } from '../../formats/catar-events.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { about, LimitExceeded } from '../../formats/errors.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { PipelineError } from '../errors.ts';
import type { UidShift } from '../make/owner-rules.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import { PathTracker } from '../read/path-tracker.ts';
import { BatchSink, type RunRestore } from './batch-sink.node.ts';
import { ConfinedDir } from './confined-dir.node.ts';
import { DirectSink, type EntrySink } from './entry-sink.node.ts';
import { OwnerResolver } from './owner.node.ts';
import { replaySet } from './replay-set.ts';
import { simpleEntryOf } from './simple-entry.node.ts';
import { type EntryRules, type LinkFinder, SingleEntry } from './single-entry.node.ts';
import { newTally, type TreeStatistics } from './tally.ts';
import { pathIn, TreeDirectories } from './tree-directories.node.ts';
import type { SharedFile } from './updated-content.node.ts';

export interface TreeOptions {
  /** Features to restore: those of the archive under the user's mask (`maskFlags`). */
  readonly replayFlags: bigint;
  /** Remove what existing directories contain besides the entries of the archive; default true. */
  readonly deleteExtra?: boolean;
  /** Clear the chattr flags of what must be replaced or removed; default false. */
  readonly undoImmutable?: boolean;
  /** Leave out runs of zeros; default true. */
  readonly punchHoles?: boolean;
  /** Share blocks with older files where the file system can; default true. */
  readonly reflink?: boolean;
  readonly uidShift?: UidShift;
  /**
   * The events are those of one node of an archive, which is to be made under this name in the
   * target; the target's own attributes and its other entries stay.
   */
  readonly entryName?: Uint8Array;
  /** Told of every entry with its path below the first node, whose own path is empty. */
  readonly onEntry?: (path: Uint8Array, stage: 'begin' | 'end') => void;
  /**
   * Restores batches of entries, in other threads or not at all at once; the result is the same as
   * without. Not used if `onEntry` wants to know when each of them is done.
   */
  readonly run?: RunRestore;
  /**
   * Asked when a file is entered: what it is to share all blocks with where the file system can. The
   * content comes all the same, until `wantsContent` says otherwise.
   */
  readonly sharedFile?: () => SharedFile | undefined;
  /**
   * Asked when a file is entered, with its path below the first node: whether it can be a link to a
   * file of the same metadata, if the content is equal, too.
   */
  readonly linkFrom?: (path: Uint8Array, node: CatarNode) => LinkFinder | undefined;
}

/** In place of a pending entry whose kind is not restored. */
const LEFT_OUT = 'left out';
/** In place of a pending entry that the sink has. */
const SIMPLE = 'simple';

/**
 * Synchronous: one system call after the other is faster than anything that waits. Only with `run`
 * there may be something to wait for. When a method throws, nothing but `abort` may be called.
 */
export class TreeExtractor {
  readonly #label: string;
  readonly #options: TreeOptions;
  readonly #rules: EntryRules;
  readonly #tally = newTally();
  readonly #directories: TreeDirectories;
  readonly #path = new PathTracker();
  readonly #sink: EntrySink;
  #pending: SingleEntry | typeof LEFT_OUT | typeof SIMPLE | undefined;
  /** Events so far: what came first is told by it. */
  #order = 0;
  #finished = false;

  /**
   * @param target path of the directory; it is made if nothing is there.
   * @throws PipelineError `USAGE` if something else is there, `UNSAFE_TARGET` without /proc
   */
  constructor(target: string, options: TreeOptions) {
    const replay = replaySet(options.replayFlags);
    this.#label = target;
    this.#options = options;
    this.#rules = {
      replay,
      owners: new OwnerResolver(replay, options.uidShift),
      punchHoles: options.punchHoles ?? true,
      reflink: options.reflink ?? true,
      tally: this.#tally,
    };
    this.#directories = new TreeDirectories(openRoot(target, options), {
      rules: this.#rules,
      deleteExtra: options.deleteExtra ?? true,
      onFailure: (place, error) => {
        this.#sink.fail(place.leftAt ?? 0, about(this.#nameOf(pathIn(place)), error));
      },
    });
    this.#sink = this.#openSink();
  }

  /**
   * Takes the next event. If it returns a promise, the next one may come when that is resolved.
   * @throws CasError named after the entry: `UNSAFE_NAME`, `DENIED`, `UNSUPPORTED` and others; also
   * of an entry that came before
   */
  handle(event: CatarEvent): Promise<void> | undefined {
    const pause = this.#pauseBefore(event);
    if (pause !== undefined) return pause.then(() => this.handle(event));
    this.#order += 1;
    if (event.kind === 'enter') this.#path.enter(event.name);
    try {
      if (event.kind === 'enter') this.#enter(event);
      else if (event.kind === 'leave') this.#leave();
      else this.#write(event.bytes);
    } catch (error) {
      return this.#fail(about(this.#subject(), error));
    }
    if (event.kind === 'leave') this.#path.leave();
    return undefined;
  }

  /** An entry of the current directory stays as it is, with all in it. @throws CasError */
  keep(name: Uint8Array): void {
    this.#path.enter(name);
    try {
      this.#directories.announce(name, false);
    } catch (error) {
      throw about(this.#subject(), error);
    }
    this.#path.leave();
  }

  /**
   * Gives up the file that was entered last, whose content is not to be had: what has its name stays.
   * Only for files that are longer than simple ones.
   */
  dropEntry(): void {
    const pending = this.#pending;
    if (typeof pending !== 'object') throw new TypeError('nothing to drop');
    pending.drop();
    this.#pending = LEFT_OUT;
  }

  /** Whether any content of the entry that was entered last is still of use. */
  get wantsContent(): boolean {
    const pending = this.#pending;
    return pending === SIMPLE || (typeof pending === 'object' && !pending.isComplete);
  }

  /** The same as data events of so many zeros. @throws CasError named after the entry */
  skip(length: number): Promise<void> | undefined {
    try {
      const pending = this.#pending;
      if (pending === SIMPLE) this.#sink.write(new Uint8Array(length));
      else if (typeof pending === 'object') pending.skip(length);
    } catch (error) {
      return this.#fail(about(this.#subject(), error));
    }
    return undefined;
  }

  /** What was done so far; all of it after `finish`. */
  get statistics(): TreeStatistics {
    return { ...this.#tally };
  }

  /** Says that no event follows. If it returns a promise, all is done when that is resolved. */
  finish(): Promise<void> | undefined {
    if (this.#path.depth > 0 || this.#pending !== undefined) {
      throw new TypeError('the events end inside of an entry');
    }
    if (this.#sink.isBusy) return this.#sink.settle().then(() => this.finish());
    this.#finished = true;
    this.#directories.close();
    return undefined;
  }

  /**
   * The error to report where `error` has ended the events: that of an entry that came before, if
   * one has failed that is restored elsewhere. Waits for all of them.
   */
  async firstError(error: unknown): Promise<unknown> {
    try {
      if (this.#sink.isBusy) await this.#sink.settle();
      return error;
    } catch (earlier) {
      return earlier;
    }
  }

  /**
   * Gives up: removes what is not complete and frees all descriptors. Nothing after `finish`. If it
   * returns a promise, something is going on until that is resolved.
   */
  abort(): Promise<void> | undefined {
    if (this.#finished) return undefined;
    this.#finished = true;
    const pending = this.#pending;
    this.#pending = undefined;
    if (typeof pending === 'object') pending.drop();
    if (this.#sink.isBusy) return this.#sink.abandon().then(() => this.#directories.close());
    this.#directories.close();
    return undefined;
  }

  #openSink(): EntrySink {
    const { undoImmutable = false, replayFlags, run, onEntry } = this.#options;
    if (run === undefined || onEntry !== undefined) return new DirectSink(this.#rules);
    return new BatchSink({
      run,
      punchHoles: this.#rules.punchHoles,
      undoImmutable,
      replayFlags,
      tally: this.#tally,
      hold: (place) => this.#directories.hold(place),
      release: (place) => this.#directories.release(place),
      nameEntry: (place, name) => this.#nameOf(pathIn(place, name)),
    });
  }

  /** What must be waited for before an event can be taken. */
  #pauseBefore(event: CatarEvent): Promise<void> | undefined {
    const sink = this.#sink;
    if (sink.hasFailed) return sink.settle();
    if (event.kind !== 'enter') return undefined;
    const { name, node } = event;
    // Only what is there already can tell whether a name comes twice.
    if (sink.isBusy && this.#directories.isOutOfOrder(name)) return sink.settle();
    return sink.room(name.length, node.linkTarget?.length ?? node.size);
  }

  /** Throws at once, or after everything before has been restored or has failed. */
  #fail(error: unknown): Promise<void> {
    if (!this.#sink.isBusy) throw error;
    return this.firstError(error).then((first) => {
      throw first;
    });
  }

  #enter(event: EnterEvent): void {
    const { node } = event;
    const isFirst = this.#path.depth === 1;
    const name = isFirst ? this.#options.entryName : event.name;
    if (this.#path.depth > DEFAULT_DECODE_LIMITS.maxDepth) throw tooDeep();
    this.#options.onEntry?.(this.#path.path, 'begin');
    if (name === undefined) {
      if (node.type !== 'directory') throw new TypeError('the root of a tree is a directory');
      this.#directories.enterRoot(node);
      return;
    }
    const mayExist = this.#directories.announce(name, isFirst);
    if (node.type === 'directory') this.#directories.enter(name, node, mayExist);
    else if (!this.#rules.replay.nodeTypes.has(node.type)) this.#pending = LEFT_OUT;
    else this.#create(name, node, mayExist);
  }

  #create(name: Uint8Array, node: CatarNode, mayExist: boolean): void {
    const place = this.#directories.current;
    const { sharedFile, linkFrom } = this.#options;
    const shared = node.type === 'file' ? sharedFile?.() : undefined;
    const link = node.type === 'file' ? linkFrom?.(this.#path.path, node) : undefined;
    const entry =
      shared === undefined && link === undefined
        ? simpleEntryOf(name, node, this.#rules, place, mayExist)
        : undefined;
    if (entry !== undefined) {
      this.#pending = SIMPLE;
      const { linkTarget } = node;
      this.#sink.begin(place, entry, linkTarget?.length ?? node.size, this.#order);
      if (linkTarget !== undefined) this.#sink.write(linkTarget);
      return;
    }
    const pending = new SingleEntry({ name, node, place, mayExist, shared, link }, this.#rules);
    this.#pending = pending;
    pending.begin();
  }

  #write(bytes: Uint8Array): void {
    const pending = this.#pending;
    if (pending === SIMPLE) this.#sink.write(bytes);
    else if (pending !== LEFT_OUT) pending?.write(bytes);
  }

  #leave(): void {
    const pending = this.#pending;
    if (pending === undefined) this.#directories.leave(this.#order);
    else if (pending === SIMPLE) this.#sink.end();
    else if (pending !== LEFT_OUT) pending.complete();
    this.#pending = undefined;
    this.#options.onEntry?.(this.#path.path, 'end');
  }

  #subject(): string {
    const { path, depth } = this.#path;
    const { entryName } = this.#options;
    if (entryName === undefined) return this.#nameOf(path);
    return this.#nameOf(depth === 1 ? entryName : concatBytes([entryName, SLASH, path]));
  }

  /** @param path below the target. */
  #nameOf(path: Uint8Array): string {
    return path.length === 0 ? this.#label : `${this.#label}/${escapeBytes(path)}`;
  }
}

const SLASH = Uint8Array.of(0x2f);

const NO_DIRECTORY =
  'Output is a regular file or block device, but attempted to extract an archive.';

function openRoot(path: string, options: TreeOptions): ConfinedDir {
  const existing = openTarget(path, options);
  if (existing !== undefined) return existing;
  try {
    mkdirSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw systemFailure('create directory', error, path);
  }
  const made = openTarget(path, options);
  if (made !== undefined) return made;
  throw systemFailure('create directory', 'ENOENT', path);
}

/** @returns undefined if nothing is there */
function openTarget(path: string, { undoImmutable = false }: TreeOptions): ConfinedDir | undefined {
  try {
    return ConfinedDir.open(path, { undoImmutable });
  } catch (error) {
    const name = errnoOf(error);
    if (name === 'ENOENT') return undefined;
    if (name !== 'ENOTDIR') throw about(path, error);
    throw new PipelineError('USAGE', { subject: path, reason: NO_DIRECTORY });
  }
}

function tooDeep(): LimitExceeded {
  const reason = `directories are nested more than ${DEFAULT_DECODE_LIMITS.maxDepth} deep`;
  return new LimitExceeded({ step: 'create directory', reason });
}
