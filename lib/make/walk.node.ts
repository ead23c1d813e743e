/**
 * A folder as archive events, in archive order and stable against concurrent change: directories are
 * held open and entered by descriptor, so renames during the walk lead nowhere else. What is left out
 * and what is recorded: spec/formats/catar.md. Used by everything that reads a folder as a tree.
 */
import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';
import type { CatarEvent, EnterEvent, NodeType } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { about, LimitExceeded } from '../../formats/errors.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { type FileStat, statDescriptor } from '../os/file-stat.node.ts';
import { CHATTR_FEATURES, NO_DUMP_INODE_FLAG } from '../os/inode-flag-bits.ts';
import { nativeAvailable } from '../os/libc.node.ts';
import { mountIdOf } from '../os/open.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { descriptorPath } from '../os/target.node.ts';
import { ExcludeRules } from './exclude.ts';
import { EXCLUDE_FILE_NAME, readExcludeFile } from './exclude-file.node.ts';
import { createFileSystems } from './file-systems.node.ts';
import { type HeldEntry, holdEntry } from './held-entry.node.ts';
import { createNodeReader, type MetadataOptions, type NodeSource } from './metadata.node.ts';
import { isTypeRecorded } from './reduce.ts';
import { isVirtualFileSystem } from './virtual-file-systems.ts';

export interface WalkOptions extends MetadataOptions {
  /** The root as messages show it. */
  readonly label: string;
  /** `skip`: no data events, files are not read. */
  readonly contents: 'read' | 'skip';
  /** Whether `.caexclude` files leave things out. */
  readonly applyExcludeFiles: boolean;
  /** Told when an entry is begun and ended. The path is relative, that of the root is empty. */
  readonly onEntry?: (path: Uint8Array, stage: 'begin' | 'end') => void;
  /** Told of everything that changed while it was read or vanished; the walk goes on. */
  readonly onIncomplete?: (label: string, reason: string) => void;
  /** Told once, before the walk, which selected features cannot be read here for lack of koffi. */
  readonly onUnavailable?: (features: bigint) => void;
  readonly signal?: AbortSignal;
}

const PIECE_LENGTH = 1024 * 1024;
const { maxDepth } = DEFAULT_DECODE_LIMITS;
const SLASH = Buffer.from('/');
const NO_NAME = new Uint8Array(0);
const LEAVE: CatarEvent = { kind: 'leave' };
const NO_FACTS: Facts = { inodeFlags: 0, fileSystemType: 0 };
const NEEDS_NATIVE =
  FEATURE.xattrs |
  FEATURE.acl |
  FEATURE.selinux |
  FEATURE.fileCapabilities |
  FEATURE.quotaProjectId |
  FEATURE.subvolumeReadOnly |
  FEATURE.excludeNodump |
  0x3ffe000n;

/**
 * Walks the folder `root`. The events are made on demand; stopping early closes everything.
 * @param root path, or descriptor of an open directory, which stays open.
 * @throws PipelineError with the path of the entry that cannot be read or recorded; `SOURCE_CHANGED`
 * if a file became shorter while it was read, so that no true archive can be written
 */
export function walkTree(root: number | Uint8Array, options: WalkOptions): Generator<CatarEvent> {
  return new TreeWalk(options).events(root);
}

/** A directory that is being walked. */
interface Frame {
  readonly entry: HeldEntry;
  readonly fd: number;
  /** Undefined where submounts are not told apart. */
  readonly mountId: number | undefined;
  /** One character per byte: a directory may have millions of entries, and objects for all of them. */
  readonly names: readonly string[];
  readonly rules: ExcludeRules;
  /** Number of the next name. */
  next: number;
  /** A change of the directory has been reported. */
  isReported: boolean;
}

type Facts = Pick<NodeSource, 'inodeFlags' | 'fileSystemType'>;

class TreeWalk {
  readonly #options: WalkOptions;
  readonly #readNode: ReturnType<typeof createNodeReader>;
  readonly #wantsInodeFlags: boolean;
  readonly #leavesOutNoDump: boolean;
  readonly #leavesOutSubmounts: boolean;
  readonly #fileSystems = createFileSystems();
  readonly #frames: Frame[] = [];
  #buffer: Buffer | undefined;

  constructor(options: WalkOptions) {
    const { featureFlags } = options;
    this.#options = options;
    this.#readNode = createNodeReader(options);
    this.#leavesOutNoDump = (featureFlags & FEATURE.excludeNodump) !== 0n;
    this.#leavesOutSubmounts = (featureFlags & FEATURE.excludeSubmounts) !== 0n;
    this.#wantsInodeFlags =
      this.#leavesOutNoDump || (featureFlags & BigInt(CHATTR_FEATURES)) !== 0n;
  }

  *events(root: number | Uint8Array): Generator<CatarEvent> {
    const { featureFlags, onUnavailable } = this.#options;
    const unavailable = nativeAvailable() ? 0n : featureFlags & NEEDS_NATIVE;
    if (unavailable !== 0n) onUnavailable?.(unavailable);
    const fd = typeof root === 'number' ? root : openRoot(root, this.#options.label);
    try {
      yield* this.#walk(fd);
    } finally {
      for (const frame of this.#frames.slice(1)) closeSync(frame.fd);
      if (fd !== root) closeSync(fd);
    }
  }

  *#walk(root: number): Generator<CatarEvent> {
    yield this.#enterRoot(root);
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
      throwIfAborted(this.#options.signal);
      const name = frame.names[frame.next++];
      if (name === undefined) yield this.#leaveDirectory(frame);
      else yield* this.#visit(frame, Buffer.from(name, 'latin1'));
    }
  }

  #enterRoot(fd: number): EnterEvent {
    try {
      const stat = statDescriptor(fd);
      if (nodeTypeOfMode(stat.mode) !== 'directory') throw systemFailure('read', 'ENOTDIR');
      const entry: HeldEntry = { name: NO_NAME, type: 'directory', stat, fd };
      const event = this.#enter(entry, this.#factsOf(entry));
      this.#pushDirectory(entry, fd, new ExcludeRules());
      this.#options.onEntry?.(NO_NAME, 'begin');
      return event;
    } catch (error) {
      throw about(this.#options.label, error);
    }
  }

  /** Everything about one entry; of a directory only its beginning. */
  *#visit(frame: Frame, name: Uint8Array): Generator<CatarEvent> {
    const entry = this.#hold(frame, name);
    if (entry === undefined) return;
    const { fd, type } = entry;
    let isKept = false;
    try {
      const event = this.#describe(frame, entry);
      if (event === undefined) return;
      this.#tell(name, 'begin');
      yield event;
      if (type === 'directory' && fd !== undefined) {
        this.#enterDirectory(frame, entry, fd);
        isKept = true;
        return;
      }
      if (fd !== undefined && this.#options.contents === 'read') {
        yield* this.#readContents(entry, fd, event.node.size);
      }
      yield LEAVE;
      this.#tell(name, 'end');
    } finally {
      if (fd !== undefined && !isKept) closeSync(fd);
    }
  }

  /** The entry, or undefined if it is left out or gone. */
  #hold(frame: Frame, name: Uint8Array): HeldEntry | undefined {
    const { featureFlags } = this.#options;
    // Left out by name before it is opened: what is excluded need not be readable.
    const isWanted = (type: NodeType) =>
      isTypeRecorded(type, featureFlags) && !frame.rules.excludes(name, type === 'directory');
    const held = this.#about(name, () => holdEntry(frame.fd, name, isWanted));
    if (typeof held !== 'string') return held;
    if (held === 'left out') return undefined;
    this.#reportChange(frame, name, `${held} while the folder was read`);
    return undefined;
  }

  /** The event that begins the entry, or undefined if it is left out. */
  #describe(frame: Frame, entry: HeldEntry): EnterEvent | undefined {
    return this.#about(entry.name, () => {
      const facts = this.#factsOf(entry);
      if (this.#leavesOutNoDump && (facts.inodeFlags & NO_DUMP_INODE_FLAG) !== 0) return undefined;
      if (entry.fd !== undefined && this.#mountIdOf(entry.stat, entry.fd) !== frame.mountId) {
        return undefined;
      }
      if (this.#frames.length < maxDepth) return this.#enter(entry, facts);
      throw new LimitExceeded({ step: 'read', reason: `more than ${maxDepth} nested folders` });
    });
  }

  #factsOf({ stat, fd }: HeldEntry): Facts {
    if (fd === undefined) return NO_FACTS;
    const inodeFlags = this.#wantsInodeFlags ? this.#fileSystems.inodeFlagsOf(stat, fd) : 0;
    return { inodeFlags, fileSystemType: this.#fileSystems.typeOf(stat, fd) };
  }

  #mountIdOf(stat: FileStat, fd: number): number | undefined {
    if (!this.#leavesOutSubmounts) return undefined;
    return stat.mountId ?? mountIdOf(fd);
  }

  #enter(entry: HeldEntry, facts: Facts): EnterEvent {
    const node = this.#readNode({ ...entry, ...facts });
    const isEmpty = node.type === 'file' && isVirtualFileSystem(facts.fileSystemType);
    return { kind: 'enter', name: entry.name, node: isEmpty ? { ...node, size: 0 } : node };
  }

  #enterDirectory(parent: Frame, entry: HeldEntry, fd: number): void {
    this.#about(entry.name, () => {
      this.#pushDirectory(entry, fd, parent.rules.forChild(entry.name));
    });
  }

  #pushDirectory(entry: HeldEntry, fd: number, inherited: ExcludeRules): void {
    const type = this.#fileSystems.typeOf(entry.stat, fd);
    const names = isVirtualFileSystem(type) ? [] : listNames(fd);
    const hasRules = this.#options.applyExcludeFiles && names.includes(EXCLUDE_FILE_NAME);
    this.#frames.push({
      entry,
      fd,
      mountId: this.#mountIdOf(entry.stat, fd),
      names,
      rules: hasRules ? inherited.withFile(readExcludeFile(fd)) : inherited,
      next: 0,
      isReported: false,
    });
  }

  #leaveDirectory(frame: Frame): CatarEvent {
    if (
      !frame.isReported &&
      hasChanged(
        frame.entry.stat,
        this.#about(NO_NAME, () => statDescriptor(frame.fd)),
      )
    ) {
      this.#reportChange(frame, NO_NAME, 'folder changed while it was read');
    }
    this.#tell(NO_NAME, 'end');
    this.#frames.pop();
    if (this.#frames.length > 0) closeSync(frame.fd);
    return LEAVE;
  }

  /** Exactly the bytes that the size promises. */
  *#readContents(entry: HeldEntry, fd: number, size: number): Generator<CatarEvent> {
    this.#buffer ??= Buffer.allocUnsafeSlow(PIECE_LENGTH);
    const buffer = this.#buffer;
    for (let offset = 0; offset < size; ) {
      throwIfAborted(this.#options.signal);
      const wanted = Math.min(buffer.length, size - offset);
      const length = this.#about(entry.name, () => readAt(fd, buffer, wanted, offset));
      if (length === 0) throw this.#shrunk(entry.name, offset, size);
      yield { kind: 'data', bytes: buffer.subarray(0, length) };
      offset += length;
    }
    const after = this.#about(entry.name, () => statDescriptor(fd));
    if (!hasChanged(entry.stat, after)) return;
    const reason = 'file changed while it was read';
    this.#options.onIncomplete?.(this.#labelOf(entry.name), reason);
  }

  #shrunk(name: Uint8Array, offset: number, size: number): PipelineError {
    const reason = `file became shorter while it was read (${offset} of ${size} bytes)`;
    const subject = this.#labelOf(name);
    return new PipelineError('SOURCE_CHANGED', { subject, step: 'read', reason });
  }

  #reportChange(frame: Frame, name: Uint8Array, reason: string): void {
    frame.isReported = true;
    this.#options.onIncomplete?.(this.#labelOf(name), reason);
  }

  #tell(name: Uint8Array, stage: 'begin' | 'end'): void {
    this.#options.onEntry?.(this.#pathOf(name), stage);
  }

  /** Path of the entry `name` of the current directory; without a name, of the directory itself. */
  #pathOf(name: Uint8Array): Uint8Array {
    const names = [...this.#frames.slice(1).map((frame) => frame.entry.name), name];
    const parts = names.filter((part) => part.length > 0);
    return Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [SLASH, part])));
  }

  #labelOf(name: Uint8Array): string {
    const path = this.#pathOf(name);
    if (path.length === 0) return this.#options.label;
    return `${this.#options.label.replace(/\/$/, '')}/${escapeBytes(path)}`;
  }

  /** Result of `act`; its errors get the path of the entry. */
  #about<Value>(name: Uint8Array, act: () => Value): Value {
    try {
      return act();
    } catch (error) {
      throw about(this.#labelOf(name), error);
    }
  }
}

function openRoot(path: Uint8Array, label: string): number {
  try {
    return openSync(Buffer.from(path), constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw systemFailure('open', error, label);
  }
}

/** Names as bytes, one character each, in the order of an archive. */
function listNames(fd: number): readonly string[] {
  try {
    return readdirSync(descriptorPath(fd), { encoding: 'latin1' }).sort();
  } catch (error) {
    throw systemFailure('list folder', error);
  }
}

function readAt(fd: number, buffer: Buffer, length: number, offset: number): number {
  try {
    return readSync(fd, buffer, 0, length, offset);
  } catch (error) {
    throw systemFailure('read', error);
  }
}

function hasChanged(before: FileStat, after: FileStat): boolean {
  return (
    before.mtimeNs !== after.mtimeNs ||
    before.ctimeNs !== after.ctimeNs ||
    before.size !== after.size
  );
}
