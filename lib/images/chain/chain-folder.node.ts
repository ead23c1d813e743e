/**
 * The versions of a chain in a store on this machine: files of the folder `chains/NAME`, and the names
 * that some of them have (spec/formats/version.md). Used by everything about version chains.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BlockTable } from '../../../formats/block-table.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import { rootOfTable } from '../../../formats/image-root.ts';
import {
  applyVersion,
  emptyTable,
  encodeVersion,
  isVersionId,
  type VersionFacts,
  type VersionHead,
  type VersionRun,
  versionLength,
} from '../../../formats/version.ts';
import {
  attempt,
  openDurableFile,
  syncFolder,
  writeFully,
} from '../../../store/backends/durable-write.node.ts';
import { namesIn } from '../../../store/names-in.node.ts';
import { systemErrorCode } from '../../../store/system-error.node.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { PipelineError, throwIfAborted } from '../../errors.ts';
import { tryLock } from '../../os/lock.node.ts';
import { ZeroDigests } from '../zero-digests.ts';
import { type ChainVersion, idOf, reading, readVersionFile } from './version-file.node.ts';

export const CHAINS_FOLDER = 'chains';
const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/;
const VERSION_SUFFIX = '.caver';
const TAG_SUFFIX = '.catag';
const FILE_MODE = 0o644;
const PART_LENGTH = 1024 * 1024;
const LOCK_WAIT_MS = 60_000;
const LOCK_POLL_MS = 50;
/** Tables are put together of so many files at most, and of no more bytes than two whole ones have. */
const MOST_ANCESTORS = 256;

export interface LockOptions {
  readonly signal?: AbortSignal | undefined;
  readonly waitMs?: number;
}

/** @throws PipelineError `USAGE` for what cannot name a chain or a version */
export function assertChainName(name: string): void {
  if (NAME.test(name)) return;
  const reason = 'not a name: letters, digits, dots, dashes and underscores, 100 at most';
  throw new PipelineError('USAGE', { subject: name, reason });
}

/** The names of all chains of a store. @throws StorageError */
export function chainNames(store: string): readonly string[] {
  const folder = `${store}/${CHAINS_FOLDER}`;
  return namesIn(folder)
    .filter((name) => NAME.test(name))
    .sort();
}

export class ChainFolder {
  readonly name: string;
  readonly folder: string;
  readonly #store: string;

  /** @param store folder of the store. @throws PipelineError `USAGE` */
  constructor(store: string, name: string) {
    assertChainName(name);
    this.name = name;
    this.#store = store;
    this.folder = `${store}/${CHAINS_FOLDER}/${name}`;
  }

  /** All of them, the oldest first. @throws FormatError | StorageError about a file */
  versions(): readonly ChainVersion[] {
    const found: ChainVersion[] = [];
    for (const file of namesIn(this.folder)) {
      const id = file.slice(0, -VERSION_SUFFIX.length);
      if (!file.endsWith(VERSION_SUFFIX) || !isVersionId(id)) continue;
      const version = readVersionFile(this.#pathOf(id), id);
      if (version !== undefined) found.push(version);
    }
    return found.sort((a, b) => a.number - b.number);
  }

  /** Ids by the further names of versions. @throws StorageError */
  tags(): ReadonlyMap<string, string> {
    const tags = new Map<string, string>();
    for (const file of namesIn(this.folder)) {
      if (!file.endsWith(TAG_SUFFIX)) continue;
      const path = `${this.folder}/${file}`;
      const id = attempt(path, 'read', () => fs.readFileSync(path, 'latin1')).trim();
      if (isVersionId(id)) tags.set(file.slice(0, -TAG_SUFFIX.length), id);
    }
    return tags;
  }

  /** @param id undefined takes the name away */
  async tag(name: string, id: string | undefined): Promise<void> {
    assertChainName(name);
    const path = `${this.folder}/${name}${TAG_SUFFIX}`;
    if (id === undefined) {
      attempt(path, 'remove', () => fs.rmSync(path, { force: true }));
      await syncFolder(this.folder);
    } else await this.#replace(path, [Buffer.from(`${id}\n`)], { sync: true });
  }

  /**
   * The table of a version, from the nearest whole one on.
   * @param versions all of the chain
   * @throws FormatError; PipelineError `VERIFY_FAILED` if the result is not what the version says
   */
  table(version: ChainVersion, versions: readonly ChainVersion[]): BlockTable {
    const table = emptyTable(version);
    const digest = createBlockDigest(version.digest);
    const zeros = new ZeroDigests(digest, version.blockSize);
    for (const one of this.lineage(version, versions)) {
      for (const read of reading(one, (file) => [file])) {
        applyVersion(one, table, read, (length) => zeros.of(length));
      }
    }
    const root = rootOfTable(digest, table);
    if (equalBytes(root, version.root)) return table;
    const reason = 'its blocks are not those that it was made of; a version before it is damaged';
    throw new PipelineError('VERIFY_FAILED', { subject: version.path, reason });
  }

  /** A version and those that its table is made of, the whole one first. @throws FormatError */
  lineage(version: ChainVersion, versions: readonly ChainVersion[]): readonly ChainVersion[] {
    const byId = new Map(versions.map((one) => [one.id, one]));
    const found = [version];
    for (let { parent } = version; parent !== undefined; ) {
      const next = byId.get(parent);
      const isFit = next && next.digest === version.digest && next.blockSize === version.blockSize;
      if (!isFit || next.number >= found[0].number) {
        const reason = `it is based on version ${parent}, which is not there`;
        throw new PipelineError('VERIFY_FAILED', { subject: version.path, reason });
      }
      found.unshift(next);
      parent = next.parent;
    }
    return found;
  }

  /** Whether the next version should have a whole table, so that reading it stays cheap. */
  isWholeDue(version: ChainVersion, versions: readonly ChainVersion[], next: VersionHead): boolean {
    const [whole, ...others] = this.lineage(version, versions);
    const bytes = others.reduce((sum, { fileBytes }) => sum + fileBytes, versionLength(next));
    return others.length >= MOST_ANCESTORS - 1 || bytes > whole.fileBytes + PART_LENGTH;
  }

  /**
   * Writes a version, or another form of the same one; it is durable under its name then.
   * @param before called right before it appears
   */
  async write(
    facts: VersionFacts,
    body: {
      readonly parent: string | undefined;
      readonly table: BlockTable;
      readonly runs: readonly VersionRun[];
    },
    options: { readonly sync: boolean; readonly before?: () => Promise<void> },
  ): Promise<ChainVersion> {
    const id = idOf(facts);
    const path = this.#pathOf(id);
    const { parent, table, runs } = body;
    const hash = createHash('sha256');
    function* parts(): Generator<Uint8Array> {
      for (const part of encodeVersion(facts, parent, table, runs)) {
        hash.update(part);
        yield part;
      }
      yield hash.digest();
    }
    await this.#replace(path, parts(), options);
    const version = readVersionFile(path, id);
    if (version === undefined) throw new TypeError('just written');
    return version;
  }

  /** @param versions in the order in which they go; the chain is good after each of them */
  async remove(versions: readonly ChainVersion[]): Promise<void> {
    for (const { path } of versions) {
      attempt(path, 'remove', () => fs.rmSync(path, { force: true }));
      await syncFolder(this.folder);
    }
  }

  /**
   * Nobody else changes the chain until the result is called.
   * @throws PipelineError `LEASE_HELD` if somebody works on it for too long; `INDEX_MISSING` without one
   */
  async lock(
    kind: 'exclusive' | 'shared',
    { signal, waitMs = LOCK_WAIT_MS }: LockOptions = {},
  ): Promise<() => void> {
    const descriptor = this.#openFolder();
    const end = performance.now() + waitMs;
    try {
      while (!tryLock(descriptor, kind)) {
        throwIfAborted(signal);
        if (performance.now() > end) {
          const reason = 'somebody else works on this chain: try again later';
          throw new PipelineError('LEASE_HELD', { subject: this.folder, reason, retry: 'later' });
        }
        await sleep(LOCK_POLL_MS);
      }
    } catch (error) {
      fs.closeSync(descriptor);
      throw error;
    }
    return () => fs.closeSync(descriptor);
  }

  /** Makes the chain if it is not there. */
  create(): void {
    attempt(this.folder, 'create', () => fs.mkdirSync(this.folder, { recursive: true }));
  }

  #pathOf(id: string): string {
    return `${this.folder}/${id}${VERSION_SUFFIX}`;
  }

  #openFolder(): number {
    try {
      return fs.openSync(this.folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    } catch (cause) {
      if (systemErrorCode(cause) !== 'ENOENT') {
        return attempt(this.folder, 'open', () => {
          throw cause;
        });
      }
      const reason = `there is no chain "${this.name}" in this store`;
      throw new PipelineError('INDEX_MISSING', { subject: this.#store, reason, cause });
    }
  }

  async #replace(
    path: string,
    parts: Iterable<Uint8Array>,
    { sync, before }: { readonly sync: boolean; readonly before?: () => Promise<void> },
  ): Promise<void> {
    const file = openDurableFile(path, { mode: FILE_MODE });
    try {
      for (const part of parts) attempt(path, 'write', () => writeFully(file.descriptor, part));
      await before?.();
      await file.commit({ sync });
      if (!sync) return;
      await syncFolder(`${this.#store}/${CHAINS_FOLDER}`);
      await syncFolder(this.#store);
    } finally {
      file.discard();
    }
  }
}
