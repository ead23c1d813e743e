/**
 * Entries of directories as finished archive bytes, from FILENAME to the last byte of the content.
 * These do not depend on where in the archive they stand, so threads can make them ahead. Used by the
 * packing job.
 */
import type { NodeType } from '../../formats/catar-events.ts';
import { archiveRules } from '../../formats/catar-fields.ts';
import { NodeEncoder } from '../../formats/catar-node-encoder.ts';
import { DEFAULT_DECODE_LIMITS } from '../../formats/decode-limits.ts';
import { isCasError } from '../../formats/errors.ts';
import { hasChanged, statDescriptor } from '../os/file-stat.node.ts';
import { closeEntry } from '../os/open.node.ts';
import { readFully } from '../os/read.node.ts';
import { EntryReader } from './entry-reader.node.ts';
import { IDENTITY_LENGTH } from './file-identity.ts';
import { type HeldEntry, holdEntry } from './held-entry.node.ts';
import type { MetadataOptions } from './owner-rules.ts';
import type { PackedContents, PackRun } from './packing.ts';

/** The entry is left to `FolderReader`, which knows what to do and say. */
export const LEFT = 0;
/** There is no room for the entry. */
export const FULL = -1;

/** Larger files are left: they are worth reading on their own. */
const LARGEST_FILE = 256 * 1024;
/** The same where they are not read. */
const LARGEST_REFERRED = 2 ** 31;

/** For one archive. */
export class EntryPacker {
  readonly #entries: EntryReader;
  readonly #encoder: NodeEncoder;
  readonly #isWanted: (type: NodeType) => boolean;
  readonly #contents: PackedContents;
  #referred = 0;

  constructor(options: MetadataOptions, contents: PackedContents) {
    this.#contents = contents;
    this.#entries = new EntryReader(options);
    this.#encoder = new NodeEncoder(archiveRules(options.featureFlags), DEFAULT_DECODE_LIMITS);
    this.#isWanted = (type) => type !== 'directory' && this.#entries.isRecorded(type);
  }

  /** Bytes of content of the latest entry for which its identity was written. */
  get referred(): number {
    return this.#referred;
  }

  /**
   * Writes the entry `name` of an open directory to `out`.
   * @param listed its type according to the directory.
   * @param start where in `out`; nothing before it is touched.
   * @returns bytes written, or those of the archive that they stand for; `LEFT` for directories, large files, what is left out, and whatever
   * changes, vanishes or fails; `FULL`
   */
  pack(
    { directory, mountId }: Pick<PackRun, 'directory' | 'mountId'>,
    name: Uint8Array,
    listed: NodeType | undefined,
    out: Uint8Array,
    start: number,
  ): number {
    let fd: number | undefined;
    try {
      const entry = holdEntry(directory, name, this.#isWanted, listed);
      if (typeof entry === 'string') return LEFT;
      fd = entry.fd;
      return this.#packHeld(entry, mountId, out, start);
    } catch (error) {
      if (isCasError(error)) return LEFT;
      throw error;
    } finally {
      if (fd !== undefined) closeEntry(fd);
    }
  }

  #packHeld(entry: HeldEntry, mountId: number | undefined, out: Uint8Array, start: number): number {
    // Without looking at the rest: the caller looks at all of it again.
    const largest = this.#contents === 'read' ? LARGEST_FILE : LARGEST_REFERRED;
    if (entry.type === 'file' && entry.stat.size > largest) return LEFT;
    const node = this.#entries.read(entry, mountId);
    if (node === undefined) return LEFT;
    const records = this.#encoder.encodeChild(entry.name, node, 0);
    const content = start + records.length;
    this.#referred = this.#contents === 'refer' ? node.size : 0;
    const end = content + (this.#referred > 0 ? IDENTITY_LENGTH : node.size);
    if (end > out.length) return start === 0 ? LEFT : FULL;
    out.set(records, start);
    const { stat, fd } = entry;
    if (node.size === 0 || fd === undefined) return end - start;
    if (this.#referred > 0) {
      this.#entries.writeIdentity(stat, fd, out, content);
      return records.length + node.size;
    }
    if (!hasRead(fd, out.subarray(content, end))) return LEFT;
    return hasChanged(stat, statDescriptor(fd)) ? LEFT : end - start;
  }
}

/** @returns false if the file is shorter or cannot be read */
function hasRead(fd: number, into: Uint8Array): boolean {
  try {
    return readFully(fd, into, 0) === into.length;
  } catch {
    return false;
  }
}
