/**
 * Archive events in, a tree out. What may be there already is never changed: the new entry is made
 * under a temporary name inside of its confined directory, completed, and then renamed over the old
 * one, so that a file is old or new, never a mixture (spec/promises.md, 3, 5 and 6). Most entries are
 * simple and go to a sink of their own. Used by `extract`.
 */
import { closeSync, mkdirSync } from 'node:fs';
import type { CatarEvent, CatarNode, EnterEvent } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { about, LimitExceeded } from '../../formats/errors.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { PipelineError } from '../errors.ts';
import { statDescriptor } from '../os/file-stat.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import { PathTracker } from '../read/path-tracker.ts';
import { restoreEarlyFlags, restoreLateFlags } from './apply-flags.node.ts';
import { type MetadataRules, restoreMetadata } from './apply-metadata.node.ts';
import { ConfinedDir } from './confined-dir.node.ts';
import { temporaryName } from './entry-name.ts';
import { DirectSink, type EntrySink } from './entry-sink.node.ts';
import { withFeature } from './feature-failure.ts';
import { FileContent } from './file-content.node.ts';
import { OwnerResolver, type UidShift } from './owner.node.ts';
import { replaySet } from './replay-set.ts';
import { simpleEntryOf } from './simple-entry.node.ts';
import { TreeDirectories } from './tree-directories.node.ts';

export interface TreeOptions {
  /** Features to restore: those of the archive under the user's mask (`maskFlags`). */
  readonly replayFlags: bigint;
  /** Remove what existing directories contain besides the entries of the archive; default true. */
  readonly deleteExtra?: boolean;
  /** Clear the chattr flags of what must be replaced or removed; default false. */
  readonly undoImmutable?: boolean;
  /** Leave out runs of zeros; default true. */
  readonly punchHoles?: boolean;
  readonly uidShift?: UidShift;
  /**
   * The events are those of one node of an archive, which is to be made under this name in the
   * target; the target's own attributes and its other entries stay.
   */
  readonly entryName?: Uint8Array;
  /** Told of every entry with its path below the first node, whose own path is empty. */
  readonly onEntry?: (path: Uint8Array, stage: 'begin' | 'end') => void;
}

/** An entry that is no directory, between its begin and its end. */
interface Pending {
  readonly name: Uint8Array;
  readonly node: CatarNode;
  readonly temporary: Uint8Array;
  /** Open for writing (files) or for the attributes (all others); undefined before it exists. */
  fd: number | undefined;
  content: FileContent | undefined;
}

/** In place of a pending entry whose kind is not restored. */
const LEFT_OUT = 'left out';
/** In place of a pending entry that the sink has. */
const SIMPLE = 'simple';

/**
 * Synchronous: one system call after the other is faster than anything that waits. When a method
 * throws, nothing but `abort` may be called.
 */
export class TreeExtractor {
  readonly #label: string;
  readonly #options: TreeOptions;
  readonly #rules: MetadataRules;
  readonly #directories: TreeDirectories;
  readonly #path = new PathTracker();
  readonly #sink: EntrySink;
  #pending: Pending | typeof LEFT_OUT | typeof SIMPLE | undefined;
  #finished = false;

  /**
   * @param target path of the directory; it is made if nothing is there.
   * @throws PipelineError `USAGE` if something else is there, `UNSAFE_TARGET` without /proc
   */
  constructor(target: string, options: TreeOptions) {
    const replay = replaySet(options.replayFlags);
    this.#label = target;
    this.#options = options;
    this.#sink = new DirectSink(options.punchHoles ?? true);
    this.#rules = { replay, owners: new OwnerResolver(replay, options.uidShift) };
    this.#directories = new TreeDirectories(openRoot(target, options), {
      rules: this.#rules,
      deleteExtra: options.deleteExtra ?? true,
    });
  }

  /**
   * Takes the next event.
   * @throws CasError named after the entry: `UNSAFE_NAME`, `DENIED`, `UNSUPPORTED` and others
   */
  handle(event: CatarEvent): void {
    if (event.kind === 'enter') this.#path.enter(event.name);
    try {
      if (event.kind === 'enter') this.#enter(event);
      else if (event.kind === 'leave') this.#leave();
      else this.#write(event.bytes);
    } catch (error) {
      throw about(this.#subject(), error);
    }
    if (event.kind === 'leave') this.#path.leave();
  }

  /** Says that no event follows. */
  finish(): void {
    if (this.#path.depth > 0 || this.#pending !== undefined) {
      throw new TypeError('the events end inside of an entry');
    }
    this.#finished = true;
    this.#directories.close();
  }

  /** Gives up: removes what is not complete and frees all descriptors. Nothing after `finish`. */
  abort(): void {
    if (this.#finished) return;
    this.#finished = true;
    const pending = this.#pending;
    this.#pending = undefined;
    if (typeof pending === 'object') this.#drop(pending);
    this.#directories.close();
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
    this.#directories.announce(name, isFirst);
    if (node.type === 'directory') this.#directories.enter(name, node);
    else if (!this.#rules.replay.nodeTypes.has(node.type)) this.#pending = LEFT_OUT;
    else this.#create(name, node);
  }

  #create(name: Uint8Array, node: CatarNode): void {
    const { replay } = this.#rules;
    const place = this.#directories.current;
    const entry = simpleEntryOf(name, node, this.#rules, place);
    if (entry !== undefined) {
      this.#pending = SIMPLE;
      const { linkTarget } = node;
      this.#sink.begin(place, entry, linkTarget?.length ?? node.size);
      if (linkTarget !== undefined) this.#sink.write(linkTarget);
      return;
    }
    const { directory } = place;
    const temporary = temporaryName(name);
    const pending: Pending = { name, node, temporary, fd: undefined, content: undefined };
    this.#pending = pending;
    const permissions = replay.permissions ? 0o600 : (node.mode | 0o600) & 0o777;
    if (node.type === 'file') {
      pending.fd = directory.createFile(temporary, permissions);
      pending.content = new FileContent(pending.fd, node.size, this.#options.punchHoles ?? true);
      restoreEarlyFlags(this.#flagged(pending.fd, node), replay);
      return;
    }
    createOther(directory, temporary, node, permissions);
    pending.fd = directory.openForAttributes(temporary);
    checkIsOurs(pending.fd, node);
  }

  #write(bytes: Uint8Array): void {
    const pending = this.#pending;
    if (pending === SIMPLE) this.#sink.write(bytes);
    else if (pending !== LEFT_OUT) pending?.content?.write(bytes);
  }

  #leave(): void {
    const pending = this.#pending;
    if (pending === undefined) this.#directories.leave(this.#path.depth === 1);
    else if (pending === SIMPLE) this.#sink.end();
    else if (pending !== LEFT_OUT) this.#complete(pending);
    this.#pending = undefined;
    this.#options.onEntry?.(this.#path.path, 'end');
  }

  #complete(pending: Pending): void {
    const { fd, node, content } = pending;
    if (fd === undefined) throw new TypeError('the entry does not exist');
    const { directory, inheritsAcl } = this.#directories.current;
    content?.finish();
    restoreMetadata({ fd, node, existed: false, inheritsAcl }, this.#rules);
    directory.replace(pending.temporary, pending.name);
    if (node.type === 'file') restoreLateFlags(this.#flagged(fd, node), this.#rules.replay);
    pending.fd = undefined;
    closeSync(fd);
  }

  #flagged(fd: number, node: CatarNode) {
    const { handsOnFlags, onFat } = this.#directories.current;
    return { fd, node, mayHaveFlags: handsOnFlags, onFat };
  }

  /** Removes what is left of an entry, because of an earlier failure: that is the one to report. */
  #drop(pending: Pending): void {
    try {
      this.#directories.current.directory.remove(pending.temporary);
    } catch {
      // The target is not ours to the end, or its file system has failed altogether.
    }
    if (pending.fd !== undefined) closeSync(pending.fd);
  }

  #subject(): string {
    const path = this.#path.path;
    const name = this.#path.depth === 1 ? this.#options.entryName : undefined;
    const relative = name ?? path;
    return relative.length === 0 ? this.#label : `${this.#label}/${escapeBytes(relative)}`;
  }
}

const NO_DIRECTORY =
  'Output is a regular file or block device, but attempted to extract an archive.';

function openRoot(path: string, options: TreeOptions): ConfinedDir {
  try {
    mkdirSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw systemFailure('create directory', error, path);
  }
  try {
    return ConfinedDir.open(path, { undoImmutable: options.undoImmutable ?? false });
  } catch (error) {
    if (errnoOf(error) !== 'ENOTDIR') throw about(path, error);
    throw new PipelineError('USAGE', { subject: path, reason: NO_DIRECTORY });
  }
}

function createOther(
  directory: ConfinedDir,
  name: Uint8Array,
  node: CatarNode,
  permissions: number,
): void {
  const { type, device } = node;
  switch (type) {
    case 'symlink':
      withFeature(FEATURE.symlinks, () =>
        directory.createSymlink(name, node.linkTarget ?? new Uint8Array(0)),
      );
      return;
    case 'character-device':
    case 'block-device':
    case 'fifo':
    case 'socket': {
      const special = { type, ...(device === undefined ? {} : { device }) };
      withFeature(SPECIAL_FEATURES[type], () =>
        directory.createSpecial(name, special, permissions),
      );
      return;
    }
    default:
      throw new TypeError(`cannot create a ${type} here`);
  }
}

const SPECIAL_FEATURES = {
  'character-device': FEATURE.deviceNodes,
  'block-device': FEATURE.deviceNodes,
  fifo: FEATURE.fifos,
  socket: FEATURE.sockets,
} as const;

/** Between making an entry and opening it, others may have put something else in its place. */
function checkIsOurs(fd: number, node: CatarNode): void {
  const { mode, linkCount } = statDescriptor(fd);
  if (linkCount === 1 && nodeTypeOfMode(mode) === node.type) return;
  const reason = 'somebody has replaced this entry while it was made';
  throw new PipelineError('UNSAFE_TARGET', { step: 'create', reason });
}

function tooDeep(): LimitExceeded {
  const reason = `directories are nested more than ${DEFAULT_DECODE_LIMITS.maxDepth} deep`;
  return new LimitExceeded({ step: 'create directory', reason });
}
