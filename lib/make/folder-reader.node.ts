/**
 * Reads held directories entry by entry as archive events, tells of what changes meanwhile, and names
 * entries in messages. Used by the folder walk and by packing.
 */
import { constants, openSync, readSync } from 'node:fs';
import type { CatarEvent, EnterEvent, NodeType } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { about, CasError, LimitExceeded } from '../../formats/errors.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { listDirectory } from '../os/directory.node.ts';
import { hasChanged, statDescriptor } from '../os/file-stat.node.ts';
import { nativeAvailable } from '../os/libc.node.ts';
import { closeEntry } from '../os/open.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { EntryReader } from './entry-reader.node.ts';
import { ExcludeRules } from './exclude.ts';
import { EXCLUDE_FILE_NAME, readExcludeFile } from './exclude-file.node.ts';
import { IDENTITY_LENGTH } from './file-identity.ts';
import { type HeldEntry, holdEntry } from './held-entry.node.ts';
import {
  type ContentReference,
  type Folder,
  listedType,
  nameOf,
  pathOf,
} from './held-folder.node.ts';
import type { MetadataOptions } from './owner-rules.ts';

export interface WalkOptions extends MetadataOptions {
  /** The root as messages show it. */
  readonly label: string;
  /** `skip`: no data events, files are not read. Asked again whenever an event is taken. */
  readonly contents: 'read' | 'skip';
  /** Nothing below the children of the root. */
  readonly childrenOnly?: boolean;
  /** Whether `.caexclude` files leave things out. */
  readonly applyExcludeFiles: boolean;
  /** Told when an entry is begun and ended. The path is relative, that of the root is empty. */
  readonly onEntry?: (path: Uint8Array, stage: 'begin' | 'end') => void;
  /** Told of everything that changed while it was read or vanished; the walk goes on. */
  readonly onIncomplete?: (label: string, reason: string) => void;
  /** Told once, before the walk, which selected features cannot be read here for lack of koffi. */
  readonly onUnavailable?: (features: bigint) => void;
  /** Told once of each type of file system, by number, when it is met. */
  readonly onFileSystem?: (type: number) => void;
  readonly signal?: AbortSignal;
}

const PIECE_LENGTH = 1024 * 1024;
const { maxDepth } = DEFAULT_DECODE_LIMITS;
const NO_NAME = new Uint8Array(0);
const LEAVE: CatarEvent = { kind: 'leave' };
const NEEDS_NATIVE =
  FEATURE.xattrs |
  FEATURE.acl |
  FEATURE.selinux |
  FEATURE.fileCapabilities |
  FEATURE.quotaProjectId |
  FEATURE.subvolumeReadOnly |
  FEATURE.excludeNodump |
  0x3ffe000n;

/** Reads one tree. Whoever makes one closes it. */
export class FolderReader {
  readonly #options: WalkOptions;
  readonly #entries: EntryReader;
  /** Directories that are open and ours to close. */
  readonly #open = new Set<number>();
  #buffer: Buffer | undefined;
  /** The file whose begin was the latest event. */
  #entered: Readonly<{ folder: Folder; number: number; entry: HeldEntry }> | undefined;

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#entries = new EntryReader(options, options.onFileSystem);
  }

  /** Directories that are open. */
  get openCount(): number {
    return this.#open.size;
  }

  /** Closes all directories that are still open. */
  close(): void {
    for (const fd of this.#open) closeEntry(fd);
    this.#open.clear();
  }

  /**
   * Opens the root and lists it.
   * @param root path, or descriptor of an open directory, which stays open.
   * @throws PipelineError, FormatError, LimitExceeded about the root
   */
  openRoot(root: number | Uint8Array): Folder {
    const { featureFlags, onUnavailable, label } = this.#options;
    const unavailable = nativeAvailable() ? 0n : featureFlags & NEEDS_NATIVE;
    if (unavailable !== 0n) onUnavailable?.(unavailable);
    try {
      const fd = typeof root === 'number' ? root : this.#openPath(root);
      const stat = statDescriptor(fd);
      if (nodeTypeOfMode(stat.mode) !== 'directory') throw systemFailure('read', 'ENOTDIR');
      const entry: HeldEntry = { ...NOTHING_HELD, stat, fd };
      const node = this.#entries.readRoot(entry);
      const event: EnterEvent = { kind: 'enter', name: NO_NAME, node };
      const folder = this.#list(undefined, entry, fd, event);
      this.#tell(folder, NO_NAME, 'begin');
      return folder;
    } catch (error) {
      throw about(label, error);
    }
  }

  /** The events of everything in an open directory, up to the one that leaves it. */
  *walk(top: Folder): Generator<CatarEvent> {
    for (let folder: Folder | undefined = top; folder !== undefined; ) {
      throwIfAborted(this.#options.signal);
      if (folder.next < folder.names.length) {
        folder = (yield* this.#visit(folder, folder.next++)) ?? folder;
      } else {
        yield this.leave(folder);
        folder = folder === top ? undefined : folder.parent;
      }
    }
  }

  /** The events of one entry, and of everything in it if it is a directory. */
  *walkEntry(parent: Folder, number: number): Generator<CatarEvent> {
    const folder = yield* this.#visit(parent, number);
    if (folder !== undefined) yield* this.walk(folder);
  }

  /**
   * Whether an entry is an ordinary one below the directory level, as far as its name and the
   * directory say: not a directory, of a type that is recorded, and not left out.
   */
  canBePacked(parent: Folder, number: number): boolean {
    const type = listedType(parent, number);
    if (type === undefined || type === 'directory' || !this.#entries.isRecorded(type)) return false;
    if (parent.depth >= maxDepth) return false;
    return parent.rules.isEmpty || !parent.rules.excludes(nameOf(parent, number), false);
  }

  /** The file that the latest event has begun, open until the next event is taken. */
  get enteredFile(): HeldEntry | undefined {
    return this.#entered?.entry;
  }

  /** What stands for the content of the file that the latest event has begun. */
  referenceOfEntered(length: number): ContentReference {
    const entered = this.#entered;
    const fd = entered?.entry.fd;
    if (entered === undefined || fd === undefined) throw new TypeError('no file was entered');
    const { folder, number, entry } = entered;
    const identity = new Uint8Array(IDENTITY_LENGTH);
    this.#about(folder, entry.name, () => {
      this.#entries.writeIdentity(entry.stat, fd, identity, 0);
    });
    return { folder, number, identity, length };
  }

  /**
   * Opens and lists a directory ahead of its turn.
   * @returns undefined if anything about it needs a closer look, which `walkEntry` takes in its turn
   */
  openAhead(parent: Folder, number: number): Folder | undefined {
    if (listedType(parent, number) !== 'directory') return undefined;
    const name = nameOf(parent, number);
    const isWanted = (type: NodeType) =>
      type === 'directory' && (parent.rules.isEmpty || !parent.rules.excludes(name, true));
    let fd: number | undefined;
    try {
      const entry = holdEntry(parent.fd, name, isWanted, 'directory');
      if (typeof entry === 'string' || entry.fd === undefined) return undefined;
      fd = entry.fd;
      const event = this.#begin(parent, entry);
      const folder = event && this.#list(parent, entry, fd, event);
      if (folder !== undefined) this.#open.add(fd);
      return folder;
    } catch (error) {
      if (error instanceof CasError) return undefined;
      throw error;
    } finally {
      if (fd !== undefined && !this.#open.has(fd)) closeEntry(fd);
    }
  }

  /** Ends a directory: tells if it has changed since it was listed, and closes it. */
  leave(folder: Folder): CatarEvent {
    const { entry, fd } = folder;
    const stat = this.#about(folder, NO_NAME, () => statDescriptor(fd));
    if (!folder.isReported && hasChanged(entry.stat, stat)) {
      this.#reportChange(folder, NO_NAME, 'folder changed while it was read');
    }
    this.#tell(folder, NO_NAME, 'end');
    if (this.#open.delete(fd)) closeEntry(fd);
    return LEAVE;
  }

  /** The events of one entry; of a directory only the first, and then the open directory. */
  *#visit(parent: Folder, number: number): Generator<CatarEvent, Folder | undefined> {
    const name = nameOf(parent, number);
    const entry = this.#hold(parent, name, listedType(parent, number));
    if (entry === undefined) return undefined;
    const { fd, type } = entry;
    try {
      const event = this.#about(parent, name, () => this.#begin(parent, entry));
      if (event === undefined) return undefined;
      this.#tell(parent, name, 'begin');
      this.#entered = { folder: parent, number, entry };
      yield event;
      if (type === 'directory' && fd !== undefined && this.#options.childrenOnly !== true) {
        const folder = this.#about(parent, name, () => this.#list(parent, entry, fd, event));
        this.#open.add(fd);
        return folder;
      }
      if (fd !== undefined && type === 'file' && this.#options.contents === 'read') {
        yield* this.#readContents(parent, entry, fd, event.node.size);
      }
      yield LEAVE;
      this.#tell(parent, name, 'end');
      return undefined;
    } finally {
      if (fd !== undefined && !this.#open.has(fd)) closeEntry(fd);
    }
  }

  /** The entry, or undefined if it is left out or gone. */
  #hold(parent: Folder, name: Uint8Array, listed: NodeType | undefined): HeldEntry | undefined {
    // Left out by name before it is opened: what is excluded need not be readable.
    const isWanted = (type: NodeType) =>
      this.#entries.isRecorded(type) && !parent.rules.excludes(name, type === 'directory');
    const held = this.#about(parent, name, () => holdEntry(parent.fd, name, isWanted, listed));
    if (typeof held !== 'string') return held;
    if (held === 'left out') return undefined;
    this.#reportChange(parent, name, `${held} while the folder was read`);
    return undefined;
  }

  /** The event that begins the entry, or undefined if it is left out. */
  #begin(parent: Folder, entry: HeldEntry): EnterEvent | undefined {
    const node = this.#entries.read(entry, parent.mountId);
    if (node === undefined) return undefined;
    if (parent.depth < maxDepth) return { kind: 'enter', name: entry.name, node };
    throw new LimitExceeded({ step: 'read', reason: `more than ${maxDepth} nested folders` });
  }

  #list(parent: Folder | undefined, entry: HeldEntry, fd: number, event: EnterEvent): Folder {
    const { names, types } = this.#entries.isVirtual(entry) ? NOTHING_LISTED : listDirectory(fd);
    const hasRules = this.#options.applyExcludeFiles && names.includes(EXCLUDE_FILE_NAME);
    const rules = parent === undefined ? new ExcludeRules() : parent.rules.forChild(entry.name);
    return {
      parent,
      depth: parent === undefined ? 1 : parent.depth + 1,
      entry,
      fd,
      event,
      mountId: this.#entries.mountIdOf(entry),
      names,
      types,
      rules: hasRules ? rules.withFile(readExcludeFile(fd)) : rules,
      next: 0,
      isReported: false,
    };
  }

  /** Exactly the bytes that the size promises. */
  *#readContents(
    parent: Folder,
    { name, stat }: HeldEntry,
    fd: number,
    size: number,
  ): Generator<CatarEvent> {
    // Nothing of an empty file is read, so nothing can be mixed.
    if (size === 0) return;
    this.#buffer ??= Buffer.allocUnsafeSlow(PIECE_LENGTH);
    const buffer = this.#buffer;
    for (let offset = 0; offset < size; ) {
      throwIfAborted(this.#options.signal);
      const wanted = Math.min(buffer.length, size - offset);
      const length = this.#about(parent, name, () => readAt(fd, buffer, wanted, offset));
      if (length === 0) throw this.#shrunk(parent, name, offset, size);
      yield { kind: 'data', bytes: buffer.subarray(0, length) };
      offset += length;
      if (this.#options.contents === 'skip') return;
    }
    const after = this.#about(parent, name, () => statDescriptor(fd));
    if (!hasChanged(stat, after)) return;
    this.#options.onIncomplete?.(this.#labelOf(parent, name), 'file changed while it was read');
  }

  #shrunk(parent: Folder, name: Uint8Array, offset: number, size: number): PipelineError {
    const reason = `file became shorter while it was read (${offset} of ${size} bytes)`;
    const subject = this.#labelOf(parent, name);
    return new PipelineError('SOURCE_CHANGED', { subject, step: 'read', reason });
  }

  #reportChange(folder: Folder, name: Uint8Array, reason: string): void {
    folder.isReported = true;
    this.#options.onIncomplete?.(this.#labelOf(folder, name), reason);
  }

  #tell(folder: Folder, name: Uint8Array, stage: 'begin' | 'end'): void {
    this.#options.onEntry?.(pathOf(folder, name), stage);
  }

  #labelOf(folder: Folder, name: Uint8Array): string {
    const path = pathOf(folder, name);
    if (path.length === 0) return this.#options.label;
    return `${this.#options.label.replace(/\/$/, '')}/${escapeBytes(path)}`;
  }

  /** Result of `act`; its errors get the path of the entry. */
  #about<Value>(folder: Folder, name: Uint8Array, act: () => Value): Value {
    try {
      return act();
    } catch (error) {
      throw about(this.#labelOf(folder, name), error);
    }
  }

  #openPath(path: Uint8Array): number {
    try {
      const fd = openSync(Buffer.from(path), constants.O_RDONLY | constants.O_DIRECTORY);
      this.#open.add(fd);
      return fd;
    } catch (error) {
      throw systemFailure('open', error);
    }
  }
}

const NOTHING_HELD = {
  name: NO_NAME,
  type: 'directory',
  path: undefined,
  linkTarget: undefined,
} as const;

const NOTHING_LISTED = { names: [], types: new Uint8Array(0) } as const;

function readAt(fd: number, buffer: Buffer, length: number, offset: number): number {
  try {
    return readSync(fd, buffer, 0, length, offset);
  } catch (error) {
    throw systemFailure('read', error);
  }
}
