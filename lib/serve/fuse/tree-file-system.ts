/**
 * An archive as a file system: the inode number of a node is the archive offset of its ENTRY, and what
 * is asked about it is read there. Spec: spec/mount.md, "What a mounted archive shows".
 */
import { equalBytes } from '../../../formats/bytes.ts';
import { isCasError } from '../../../formats/errors.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import type { SignalOption } from '../../../store/backend.ts';
import { PipelineError } from '../../errors.ts';
import type { UidShift } from '../../make/owner-rules.ts';
import {
  type BlobBytes,
  type BlobExtent,
  type BlobRange,
  type BlobReader,
  freeBytes,
  withinBlob,
} from '../../read/blob-reader.ts';
import { RecentValues } from '../../read/recent-values.ts';
import type { ListedChild, TreeNode } from '../../read/tree-node.ts';
import { type FolderSurvey, TreeReader } from '../../read/tree-reader.ts';
import { awaited, type Soon, type Steps, settle } from '../../work/soon.ts';
import {
  type DirectoryEntry,
  type FileAttributes,
  type InodeFlagValues,
  type MountedFileSystem,
  ROOT_INODE,
} from './file-system.ts';
import { KnownFolders } from './known-folders.ts';
import { shownAttributes, shownInodeFlags, shownXattr, shownXattrs } from './shown-metadata.ts';

export interface TreeFileSystemOptions extends SignalOption {
  /** Feature flags that the archive must carry, known from its index. */
  readonly expectedFlags?: bigint;
  readonly uidShift?: UidShift;
}

export interface TreeFileSystem extends MountedFileSystem {
  /** Feature flags of the archive. */
  readonly featureFlags: bigint;
}

/** Folders with more entries are not counted, and their tables are believed. */
const MOST_COUNTED = 4096;
/** Link count of a folder whose folders are not counted. */
const NOT_COUNTED = 1;
/** Folders of which the link count is kept. */
const MOST_SURVEYS = 65536;

/**
 * Opens an archive as a file system.
 * @param blob stays open
 * @throws FormatError, named after the blob, if that is no archive; whatever the blob throws
 */
export async function openTreeFileSystem(
  blob: BlobReader,
  options: TreeFileSystemOptions = {},
): Promise<TreeFileSystem> {
  const { expectedFlags, uidShift, signal } = options;
  const tree = new TreeReader(blob, expectedFlags === undefined ? {} : { expectedFlags });
  const root = await tree.root(signal === undefined ? {} : { signal });
  return new ArchiveFileSystem(blob, tree, root, uidShift);
}

class ArchiveFileSystem implements TreeFileSystem {
  readonly label: string;
  readonly size: number;
  readonly featureFlags: bigint;
  readonly hasAcls: boolean;
  readonly #blob: BlobReader;
  readonly #tree: TreeReader;
  readonly #root: TreeNode;
  readonly #uidShift: UidShift | undefined;
  readonly #folders = new KnownFolders();
  /** By inode number. */
  readonly #surveys = new RecentValues<FolderSurvey | 'large'>(MOST_SURVEYS);

  constructor(blob: BlobReader, tree: TreeReader, root: TreeNode, uidShift: UidShift | undefined) {
    this.label = blob.label;
    this.size = blob.size;
    this.featureFlags = root.node.featureFlags;
    this.hasAcls = (this.featureFlags & FEATURE.acl) !== 0n;
    this.#blob = blob;
    this.#tree = tree;
    this.#root = root;
    this.#uidShift = uidShift;
  }

  lookup(
    folder: number,
    name: Uint8Array,
    options: SignalOption = {},
  ): Soon<FileAttributes | undefined> {
    return settle(this.#lookup(folder, name, options));
  }

  attributes(inode: number, options: SignalOption = {}): Soon<FileAttributes> {
    return settle(this.#attributes(inode, options));
  }

  parentOf(folder: number): number {
    const parent = this.#folders.parentOf(folder);
    if (parent === undefined) throw this.#unknownFolder();
    return parent;
  }

  list(
    folder: number,
    from: number,
    take: (entry: DirectoryEntry) => boolean,
    options: SignalOption = {},
  ): Soon<void> {
    return settle(this.#list(folder, from, take, options));
  }

  readLink(inode: number, options: SignalOption = {}): Soon<Uint8Array> {
    return settle(this.#of(inode, options, ({ node }) => node.linkTarget ?? this.#refuse('link')));
  }

  read(inode: number, range: BlobRange, options: SignalOption = {}): Soon<BlobBytes> {
    return settle(this.#read(inode, range, options));
  }

  extentAt(inode: number, offset: number, options: SignalOption = {}): Soon<BlobExtent> {
    const extent = (found: TreeNode): BlobExtent => {
      const start = this.#contentStart(found);
      const { end, isZero } = this.#blob.extentAt(start + offset);
      return { end: Math.min(end - start, found.node.size), isZero };
    };
    return settle(this.#of(inode, options, extent));
  }

  extendedAttributeNames(inode: number, options: SignalOption = {}): Soon<readonly Uint8Array[]> {
    const names = ({ node }: TreeNode) => shownXattrs(node, this.#uidShift).map(({ name }) => name);
    return settle(this.#of(inode, options, names));
  }

  extendedAttribute(
    inode: number,
    name: Uint8Array,
    options: SignalOption = {},
  ): Soon<Uint8Array | undefined> {
    const value = ({ node }: TreeNode) => shownXattr(node, name, this.#uidShift);
    return settle(this.#of(inode, options, value));
  }

  inodeFlags(inode: number, options: SignalOption = {}): Soon<InodeFlagValues> {
    return settle(this.#of(inode, options, ({ node }) => shownInodeFlags(node)));
  }

  forget(inode: number, count: number): void {
    this.#folders.forget(inode, count);
  }

  *#lookup(
    folder: number,
    name: Uint8Array,
    options: SignalOption,
  ): Steps<FileAttributes | undefined> {
    const parent = yield* awaited(this.#folder(folder, options));
    const found = yield* this.#find(parent, name, options);
    if (found === undefined) return undefined;
    const linkCount = yield* this.#linkCount(found, options);
    this.#name(found, folder);
    return this.#shown(found, linkCount);
  }

  /** A table that does not have a name, or is damaged, settles nothing unless it has all others. */
  *#find(parent: TreeNode, name: Uint8Array, options: SignalOption): Steps<TreeNode | undefined> {
    let failure: unknown;
    try {
      const found = yield* awaited(this.#tree.child(parent, name, options));
      if (found !== undefined) return found;
    } catch (error) {
      if (!isDamage(error)) throw error;
      failure = error;
    }
    if (!(yield* this.#isComplete(parent, options))) {
      const found = yield* this.#search(parent, name, options);
      if (found !== undefined) return found;
    }
    if (failure !== undefined) throw failure;
    return undefined;
  }

  /** Whether the table of a folder leads to all of its children, as far as that can be told. */
  *#isComplete(folder: TreeNode, options: SignalOption): Steps<boolean> {
    try {
      const survey = yield* this.#survey(folder, options);
      return survey === 'large' || survey.isComplete;
    } catch (error) {
      if (mustBeTold(error) || isDamage(error)) throw error;
      return true;
    }
  }

  *#search(parent: TreeNode, name: Uint8Array, options: SignalOption): Steps<TreeNode | undefined> {
    let found: ListedChild | undefined;
    const take = (other: Uint8Array, child: ListedChild): boolean => {
      if (equalBytes(other, name)) found = child;
      return found === undefined;
    };
    yield* awaited(this.#tree.children(parent, 0, take, options));
    if (found?.isUnread) return yield* awaited(this.#tree.nodeAt(found, options));
    return found;
  }

  *#attributes(inode: number, options: SignalOption): Steps<FileAttributes> {
    const found = yield* awaited(this.#node(inode, options));
    return this.#shown(found, yield* this.#linkCount(found, options));
  }

  *#list(
    folder: number,
    from: number,
    take: (entry: DirectoryEntry) => boolean,
    options: SignalOption,
  ): Steps<void> {
    const parent = yield* awaited(this.#folder(folder, options));
    const takeChild = (name: Uint8Array, child: ListedChild): boolean => {
      const linkCount = child.isUnread ? undefined : this.#knownLinkCount(child);
      const entry = { name, inode: child.start, mode: child.node.mode, next: child.end };
      if (linkCount === undefined) return take(entry);
      if (!take({ ...entry, attributes: this.#shown(child, linkCount) })) return false;
      this.#name(child, folder);
      return true;
    };
    yield* awaited(this.#tree.children(parent, from, takeChild, options));
  }

  *#read(inode: number, range: BlobRange, options: SignalOption): Steps<BlobBytes> {
    const found = yield* awaited(this.#node(inode, options));
    const start = this.#contentStart(found);
    const { offset, length } = withinBlob(range, found.node.size);
    if (length === 0) return freeBytes();
    const wanted = { offset: start + offset, length };
    const bytes = yield* awaited(this.#blob.read(wanted, options));
    if (bytes.length === length) return bytes;
    bytes.release();
    const reason = 'the archive ends too early';
    throw new PipelineError('IO', { subject: this.label, step: 'read', reason });
  }

  *#of<Value>(
    inode: number,
    options: SignalOption,
    tell: (found: TreeNode) => Value,
  ): Steps<Value> {
    return tell(yield* awaited(this.#node(inode, options)));
  }

  #node(inode: number, options: SignalOption): Soon<TreeNode> {
    if (inode === ROOT_INODE) return this.#root;
    const known = this.#folders.get(inode);
    if (known !== undefined) return this.#tree.nodeAt({ start: inode, ...known }, options);
    return settle(this.#notFolder(inode, options));
  }

  /** Only for folders it matters where they lie. */
  *#notFolder(inode: number, options: SignalOption): Steps<TreeNode> {
    const found = yield* awaited(this.#tree.nodeAt({ start: inode, depth: 1 }, options));
    if (found.folder !== undefined) throw this.#unknownFolder();
    return found;
  }

  #folder(inode: number, options: SignalOption): Soon<TreeNode> {
    if (inode === ROOT_INODE) return this.#root;
    const known = this.#folders.get(inode);
    if (known === undefined) throw this.#unknownFolder();
    return this.#tree.nodeAt({ start: inode, ...known }, options);
  }

  /** Counts an answer that names a node. */
  #name({ start, folder, depth, end }: TreeNode, parent: number): void {
    if (folder !== undefined) this.#folders.name(start, { parent, depth, end });
  }

  *#linkCount(found: TreeNode, options: SignalOption): Steps<number> {
    const known = this.#knownLinkCount(found);
    if (known !== undefined) return known;
    try {
      return linkCountOf(yield* this.#survey(found, options));
    } catch (error) {
      if (mustBeTold(error)) throw error;
      // That something below it cannot be read is said when somebody reads it.
      return NOT_COUNTED;
    }
  }

  #knownLinkCount({ folder, start }: TreeNode): number | undefined {
    if (folder === undefined) return 1;
    if (folder.childrenStart === folder.table.offset) return 2;
    if (folder.table.itemCount > MOST_COUNTED) return NOT_COUNTED;
    const survey = this.#surveys.get(start);
    return survey && linkCountOf(survey);
  }

  *#survey(folder: TreeNode, options: SignalOption): Steps<FolderSurvey | 'large'> {
    const known = this.#surveys.get(folder.start);
    if (known !== undefined) return known;
    const survey = (yield* awaited(this.#tree.survey(folder, MOST_COUNTED, options))) ?? 'large';
    this.#surveys.keep(folder.start, survey, 1);
    return survey;
  }

  #shown({ node, start }: TreeNode, linkCount: number): FileAttributes {
    return shownAttributes(start === 0 ? ROOT_INODE : start, node, linkCount, this.#uidShift);
  }

  #contentStart({ node, end }: TreeNode): number {
    return node.type === 'file' ? end - node.size : this.#refuse('file');
  }

  #refuse(type: string): never {
    throw new PipelineError('USAGE', { subject: this.label, reason: `this is no ${type}` });
  }

  #unknownFolder(): PipelineError {
    const reason = 'the folder is not known';
    return new PipelineError('NOT_IN_ARCHIVE', { subject: this.label, reason });
  }
}

function linkCountOf(survey: FolderSurvey | 'large'): number {
  return survey === 'large' ? NOT_COUNTED : 2 + survey.folderCount;
}

/** Whether a failure is not about what was read. */
function mustBeTold(error: unknown): boolean {
  return !isCasError(error) || error.code === 'ABORTED';
}

function isDamage(error: unknown): boolean {
  return isCasError(error) && error.code === 'FORMAT';
}
