/**
 * The folder of `--cache` (spec/formats/cache.md): one file for each tree and way to archive it, which
 * remembers the chunks of the latest archive. It only saves work: what is damaged or foreign is ignored
 * and written anew.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { equalBytes } from '../../formats/bytes.ts';
import { CHUNK_ID_LENGTH, writeChunkId } from '../../formats/chunk-id.ts';
import type { IndexHeader } from '../../formats/chunk-index.ts';
import { isCasError } from '../../formats/errors.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { openDurableFile } from '../../store/backends/durable-write.node.ts';
import type { ChunkerName } from '../chunking/scanner.ts';
import { createDigest } from '../digest/digest.node.ts';
import { statDescriptor } from '../os/file-stat.node.ts';
import { NO_DUMP_INODE_FLAG } from '../os/inode-flag-bits.ts';
import { getInodeFlags, setInodeFlags } from '../os/inode-flags.node.ts';
import { readFully } from '../os/read.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { descriptorPath } from '../os/target.node.ts';
import { writeFully } from '../os/write.node.ts';
import { CachedChunks, decodeCache, encodeCache } from './cached-chunks.ts';

/** What the archives of a cache file have in common. */
export interface CacheSubject {
  /** Descriptor of the tree's root. */
  readonly root: number;
  readonly header: IndexHeader;
  readonly chunker: ChunkerName;
}

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const FOLDER_MODE = 0o777;
const FILE_MODE = 0o600;
/** Digits of the context's digest in a file name. */
const NAME_DIGITS = 32;

export class EncoderCache {
  readonly #folder: string;
  readonly #name: string;
  readonly #context: Uint8Array;
  readonly #maxChunkSize: number;
  /** False where writing would change the tree that is archived. */
  readonly #isUsable: boolean;
  #bytes: Uint8Array = new Uint8Array(0);

  /**
   * Makes the folder if it is missing, but not its parents, and marks it to be left out of archives.
   * @throws PipelineError
   */
  constructor(folder: string, subject: CacheSubject) {
    const { header, chunker } = subject;
    this.#folder = folder;
    this.#maxChunkSize = header.chunkSizes.max;
    makeFolder(folder);
    const descriptor = openFolder(folder);
    try {
      const tree = readlinkSync(descriptorPath(subject.root), { encoding: 'buffer' });
      const place = readlinkSync(descriptorPath(descriptor), { encoding: 'buffer' });
      const { min, avg, max } = header.chunkSizes;
      const way = `${header.featureFlags} ${min}:${avg}:${max} ${chunker}\n`;
      const context = createDigest('sha256').hash(Buffer.concat([Buffer.from(way), tree]));
      this.#name = `${context.slice(0, NAME_DIGITS)}.cache`;
      this.#context = new Uint8Array(CHUNK_ID_LENGTH);
      writeChunkId(context, this.#context, 0);
      const isLeftOut = !place.equals(tree) && leaveOut(descriptor, header.featureFlags);
      this.#isUsable = isLeftOut || !isBelow(place, tree);
    } finally {
      closeSync(descriptor);
    }
  }

  /** The chunks of the latest archive; none if nobody knows. */
  read(): CachedChunks {
    const bytes = this.#isUsable ? readOwnFile(join(this.#folder, this.#name)) : undefined;
    if (bytes === undefined) return new CachedChunks();
    const digest = createDigest('sha256');
    const chunks = decodeCache(bytes, this.#context, digest, this.#maxChunkSize);
    if (chunks === undefined) return new CachedChunks();
    this.#bytes = chunks.rows;
    return chunks;
  }

  /** Remembers the chunks of an archive in place of those of the one before. @throws CasError */
  async write(chunks: CachedChunks): Promise<void> {
    if (!this.#isUsable || equalRows(chunks.rows, this.#bytes)) return;
    // Not synced: what a crash leaves is recognised by its checksum.
    const file = openDurableFile(join(this.#folder, this.#name), { mode: FILE_MODE });
    try {
      for (const part of encodeCache(chunks, this.#context, createDigest('sha256'))) {
        await writeFully(file.descriptor, part, null);
      }
      await file.commit({ sync: false });
    } finally {
      file.discard();
    }
  }
}

function equalRows(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && equalBytes(a, b);
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: FOLDER_MODE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw systemFailure('create folder', error, path);
  }
}

function openFolder(path: string): number {
  try {
    return openSync(path, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw systemFailure('open', error, path);
  }
}

function isBelow(path: Buffer, folder: Buffer): boolean {
  if (path.equals(folder) || folder.equals(Buffer.from('/'))) return true;
  return path.subarray(0, folder.length + 1).equals(Buffer.concat([folder, Buffer.from('/')]));
}

/** Sets the flag that leaves a folder out of archives. @returns whether it does so in this one */
function leaveOut(descriptor: number, featureFlags: bigint): boolean {
  try {
    setInodeFlags(descriptor, NO_DUMP_INODE_FLAG, NO_DUMP_INODE_FLAG);
  } catch (error) {
    if (!isCasError(error)) throw error;
  }
  if ((featureFlags & FEATURE.excludeNodump) === 0n) return false;
  return ((getInodeFlags(descriptor) ?? 0) & NO_DUMP_INODE_FLAG) !== 0;
}

/** The bytes of a file that nobody but us can have written; undefined for all others. */
function readOwnFile(path: string): Uint8Array | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const { uid, mode } = statDescriptor(descriptor);
    if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) return undefined;
    const bytes = new Uint8Array(fstatSync(descriptor).size);
    return bytes.subarray(0, readFully(descriptor, bytes, 0));
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}
