/**
 * Decides by its attributes whether a held entry goes into an archive, and reads what the archive says
 * of it (spec/formats/catar.md, "What is left out"). Used by the folder walk and by packing jobs.
 */
import type { CatarNode } from '../../formats/catar-events.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { bootId } from '../os/boot.node.ts';
import type { FileStat } from '../os/file-stat.node.ts';
import { CHATTR_FEATURES, NO_DUMP_INODE_FLAG } from '../os/inode-flag-bits.ts';
import { getGeneration } from '../os/inode-flags.node.ts';
import { mountIdOf } from '../os/open.node.ts';
import { datesChanges, type MountIdentity, writeIdentity } from './file-identity.ts';
import { createFileSystems, type FileSystems } from './file-systems.node.ts';
import type { HeldEntry } from './held-entry.node.ts';
import { createNodeReader, type FileFacts, type NodeReader } from './metadata.node.ts';
import type { MetadataOptions } from './owner-rules.ts';
import { isTypeRecorded } from './reduce.ts';
import { isVirtualFileSystem } from './virtual-file-systems.ts';

const NO_FACTS: FileFacts = { inodeFlags: 0, fileSystemType: 0 };

/** For one archive; remembers file systems and owners. */
export class EntryReader {
  readonly #featureFlags: bigint;
  readonly #readNode: NodeReader;
  readonly #wantsInodeFlags: boolean;
  readonly #leavesOutNoDump: boolean;
  readonly #leavesOutSubmounts: boolean;
  readonly #fileSystems: FileSystems;

  /** @param onFileSystem told once of each type of file system */
  constructor(options: MetadataOptions, onFileSystem?: (type: number) => void) {
    const { featureFlags } = options;
    this.#fileSystems = createFileSystems(onFileSystem);
    this.#featureFlags = featureFlags;
    this.#readNode = createNodeReader(options);
    this.#leavesOutNoDump = (featureFlags & FEATURE.excludeNodump) !== 0n;
    this.#leavesOutSubmounts = (featureFlags & FEATURE.excludeSubmounts) !== 0n;
    this.#wantsInodeFlags =
      this.#leavesOutNoDump || (featureFlags & BigInt(CHATTR_FEATURES)) !== 0n;
  }

  /** Whether entries of this type are recorded at all. */
  isRecorded(type: HeldEntry['type']): boolean {
    return isTypeRecorded(type, this.#featureFlags);
  }

  /** @throws PipelineError, FormatError without subject */
  readRoot(entry: HeldEntry): CatarNode {
    return this.#readNode(entry, this.#factsOf(entry));
  }

  /**
   * The node of an entry below the root, or undefined if it is left out.
   * @param parentMountId of the directory that holds it.
   * @throws PipelineError, FormatError without subject
   */
  read(entry: HeldEntry, parentMountId: number | undefined): CatarNode | undefined {
    const facts = this.#factsOf(entry);
    if (this.#leavesOutNoDump && (facts.inodeFlags & NO_DUMP_INODE_FLAG) !== 0) return undefined;
    if (entry.fd !== undefined && this.mountIdOf(entry) !== parentMountId) return undefined;
    const node = this.#readNode(entry, facts);
    const isEmpty = node.size > 0 && isVirtualFileSystem(facts.fileSystemType);
    return isEmpty ? { ...node, size: 0 } : node;
  }

  /** Writes the identity of an open file to `out`. @throws PipelineError without subject */
  writeIdentity(stat: FileStat, fd: number, out: Uint8Array, offset: number): void {
    const isDated = datesChanges(this.#fileSystems.typeOf(stat, fd));
    const generation = isDated ? (getGeneration(fd) ?? 0) : 0;
    const mount = stat.ctimeNanoseconds === 0 ? mountIdentity(stat) : undefined;
    writeIdentity(stat, { generation, isDated, mount }, out, offset);
  }

  /** Undefined where submounts are not told apart. */
  mountIdOf({ stat, fd }: HeldEntry): number | undefined {
    if (!this.#leavesOutSubmounts || fd === undefined) return undefined;
    return stat.mountId ?? mountIdOf(fd);
  }

  /** Whether the entry is on a file system whose content is made up by the kernel. */
  isVirtual({ stat, fd }: HeldEntry): boolean {
    return fd !== undefined && isVirtualFileSystem(this.#fileSystems.typeOf(stat, fd));
  }

  #factsOf({ stat, fd }: HeldEntry): FileFacts {
    if (fd === undefined) return NO_FACTS;
    const inodeFlags = this.#wantsInodeFlags ? this.#fileSystems.inodeFlagsOf(stat, fd) : 0;
    return { inodeFlags, fileSystemType: this.#fileSystems.typeOf(stat, fd) };
  }
}

function mountIdentity({ mountId, isMountIdUnique }: FileStat): MountIdentity | undefined {
  const boot = bootId();
  if (mountId === undefined || !isMountIdUnique || boot === undefined) return undefined;
  return { number: mountId, boot };
}
