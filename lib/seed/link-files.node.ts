/**
 * Files of folders that an extracted file can be a link to: those whose metadata are what the archive
 * says, by everything that it records. Whether the content is equal, too, shows when it comes
 * (spec/formats/extraction.md, "Hard links"). Used by the extraction of trees.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { equalBytes, readU32 } from '../../formats/bytes.ts';
import type { CatarNode } from '../../formats/catar-events.ts';
import { archiveRules, nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { NodeEncoder } from '../../formats/catar-node-encoder.ts';
import { CHUNK_ID_LENGTH, writeChunkId } from '../../formats/chunk-id.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { isCasError } from '../../formats/errors.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import type { Digest } from '../../store/transforms.ts';
import { createDigest } from '../digest/digest.node.ts';
import type { UidShift } from '../make/owner-rules.ts';
import { walkTree } from '../make/walk.node.ts';
import { type FileStat, statDescriptor } from '../os/file-stat.node.ts';
import { closeEntry, openBelow } from '../os/open.node.ts';
import { PathTracker } from '../read/path-tracker.ts';
import { createBreather } from '../work/breathe.ts';
import { ByteStrings } from './byte-strings.ts';
import { readParts } from './read-parts.node.ts';

/** A file that is open for reading; whoever asked for it closes it with `closeEntry`. */
export interface LinkFile {
  readonly fd: number;
  readonly stat: FileStat;
}

export interface LinkFilesOptions {
  /** Of the archive. */
  readonly featureFlags: bigint;
  readonly uidShift?: UidShift;
  readonly signal?: AbortSignal;
}

interface Folder {
  readonly root: number;
  /** Of the first and behind the last of its files. */
  readonly first: number;
  readonly end: number;
}

/** Files of equal metadata and another path that are looked at. */
const MOST_CANDIDATES = 32;
/** Files of equal metadata that are known at all. */
const MOST_EQUAL = 1024;
/** Bytes of the content by which files of equal metadata are told apart. */
const BEGIN_LENGTH = 4096;
const KEY_LENGTH = 8;

export class LinkFiles {
  readonly #options: LinkFilesOptions;
  readonly #encoder: NodeEncoder;
  readonly #digest: Digest = createDigest('sha256');
  readonly #key = new Uint8Array(CHUNK_ID_LENGTH);
  readonly #folders: Folder[] = [];
  readonly #paths = new ByteStrings();
  readonly #keys = new ByteStrings();
  /** Numbers of files by key; a hash table with open addressing. */
  #slots = new Int32Array(1024).fill(-1);

  constructor(options: LinkFilesOptions) {
    this.#options = options;
    const rules = archiveRules(options.featureFlags);
    this.#encoder = new NodeEncoder(rules, DEFAULT_DECODE_LIMITS);
  }

  /** Adds the files of a folder, as far as it can be read; anything else has none. */
  async addFolder(path: string): Promise<void> {
    let root: number;
    try {
      root = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch {
      return;
    }
    const first = this.#paths.count;
    try {
      await this.#addFiles(root, path);
    } catch (error) {
      if (!isCasError(error) || this.#options.signal?.aborted) {
        closeSync(root);
        throw error;
      }
    }
    this.#folders.push({ root, first, end: this.#paths.count });
  }

  /**
   * Files that a node can be a link to, first the one of the same path.
   * @param path in the archive
   * @returns undefined if there are none; else a function that opens the first whose content begins
   * with the given bytes
   */
  find(
    path: Uint8Array,
    node: CatarNode,
  ): ((begin: Uint8Array) => LinkFile | undefined) | undefined {
    if (node.type !== 'file' || node.size === 0) return undefined;
    const candidates = this.#candidates(node);
    if (candidates.length === 0) return undefined;
    const isSame = (file: number) => equalBytes(this.#paths.at(file), path);
    const ordered = [
      ...candidates.filter(isSame),
      ...candidates.filter((file) => !isSame(file)).slice(0, MOST_CANDIDATES),
    ];
    return (begin) => {
      for (const file of ordered) {
        const opened = this.#open(file, node.size, begin.subarray(0, BEGIN_LENGTH));
        if (opened !== undefined) return opened;
      }
      return undefined;
    };
  }

  close(): void {
    for (const { root } of this.#folders.splice(0)) closeSync(root);
  }

  async #addFiles(root: number, label: string): Promise<void> {
    const { featureFlags } = this.#options;
    const applyExcludeFiles = (featureFlags & FEATURE.excludeFile) !== 0n;
    const walk = { ...this.#options, label, contents: 'skip', applyExcludeFiles } as const;
    const breathe = createBreather();
    const path = new PathTracker();
    for (const event of walkTree(root, walk)) {
      await breathe();
      if (event.kind === 'leave') path.leave();
      if (event.kind !== 'enter') continue;
      path.enter(event.name);
      const { node } = event;
      if (node.type === 'file' && node.size > 0) this.#add(path.path, this.#keyOf(node));
    }
  }

  #add(path: Uint8Array, key: Uint8Array): void {
    const file = this.#paths.add(path);
    this.#keys.add(key);
    if (4 * file > this.#slots.length) this.#grow();
    else this.#place(file);
  }

  #grow(): void {
    this.#slots = new Int32Array(4 * this.#slots.length).fill(-1);
    for (let file = 0; file < this.#paths.count; file++) this.#place(file);
  }

  #place(file: number): void {
    const key = this.#keys.at(file);
    const slots = this.#slots;
    let same = 0;
    let slot = readU32(key, 0) & (slots.length - 1);
    while (slots[slot] >= 0) {
      if (equalBytes(this.#keys.at(slots[slot]), key)) same += 1;
      if (same === MOST_EQUAL) return;
      slot = (slot + 1) & (slots.length - 1);
    }
    slots[slot] = file;
  }

  #candidates(node: CatarNode): readonly number[] {
    let key: Uint8Array;
    try {
      key = this.#keyOf(node);
    } catch (error) {
      if (isCasError(error)) return [];
      throw error;
    }
    const slots = this.#slots;
    const found: number[] = [];
    for (let slot = readU32(key, 0) & (slots.length - 1); slots[slot] >= 0; ) {
      if (equalBytes(this.#keys.at(slots[slot]), key)) found.push(slots[slot]);
      slot = (slot + 1) & (slots.length - 1);
    }
    return found;
  }

  /** From all records of the node but its name and content. Valid until the next call. */
  #keyOf(node: CatarNode): Uint8Array {
    const records = this.#encoder.encodeRoot(node, 0);
    writeChunkId(this.#digest.hash(records), this.#key, 0);
    return this.#key.subarray(0, KEY_LENGTH);
  }

  /** Undefined if it is no longer what it was, or does not begin like that. */
  #open(file: number, size: number, begin: Uint8Array): LinkFile | undefined {
    const folder = this.#folders.find(({ first, end }) => file >= first && file < end);
    if (folder === undefined) return undefined;
    let fd: number | undefined;
    try {
      fd = openBelow(folder.root, this.#paths.at(file));
      const stat = statDescriptor(fd);
      const isFile = nodeTypeOfMode(stat.mode) === 'file' && stat.size === size;
      if (isFile && beginsWith(fd, begin)) return { fd, stat };
    } catch (error) {
      if (!isCasError(error)) throw error;
    }
    if (fd !== undefined) closeEntry(fd);
    return undefined;
  }
}

function beginsWith(fd: number, begin: Uint8Array): boolean {
  const bytes = Buffer.alloc(begin.length);
  return (
    readParts([{ descriptor: fd, offset: 0, length: begin.length }], bytes) && bytes.equals(begin)
  );
}
