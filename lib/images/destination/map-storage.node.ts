/**
 * The two files of a map on disk: digests, and the state with the journal behind it. What is written
 * when is decided by the update (image-updater.ts).
 */
import {
  closeSync,
  constants,
  existsSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  unlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { about } from '../../../formats/errors.ts';
import type { JournalBytes } from '../../../formats/map-journal.ts';
import type { MapHeader } from '../../../formats/map-state.ts';
import {
  openDurableFile,
  removeQuietly,
  writeFully,
} from '../../../store/backends/durable-write.node.ts';
import { errnoOf, systemFailure } from '../../os/system-error.node.ts';
import { writeFullySync } from '../../os/write.node.ts';
import { readerOf } from '../part-reader.node.ts';
import { type MapFile, readMapFile, replaceMapFile } from './map-file.node.ts';
import { encodeHeader } from './map-header.node.ts';
import type { MapStorage } from './map-writer.ts';
import type { MapReader } from './open-map.node.ts';

const sync = promisify(fdatasync);
const STATE_SUFFIX = '.state';
const MODE = 0o600;
/** Neither a link nor a pipe that somebody has put there. */
const NO_SURPRISES = constants.O_NOFOLLOW | constants.O_NONBLOCK;
const TEMPORARY_DIGITS = /^[0-9a-f]{16}$/;

function statePathOf(mapPath: string): string {
  return mapPath + STATE_SUFFIX;
}

export class MapFiles implements MapStorage, MapReader {
  readonly mapPath: string;
  readonly statePath: string;
  #descriptor: number | undefined;
  #end = 0;

  constructor(mapPath: string) {
    this.mapPath = mapPath;
    this.statePath = statePathOf(mapPath);
  }

  /** @returns undefined if there is none; the bytes are those of now */
  openState(options: { readonly isReadOnly: boolean }): JournalBytes | undefined {
    const access = options.isReadOnly ? constants.O_RDONLY : constants.O_RDWR;
    try {
      this.#descriptor = openSync(this.statePath, access | NO_SURPRISES);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw systemFailure('open', error, this.statePath);
    }
    const length = fstatSync(this.#descriptor).size;
    this.#end = length;
    return { length, read: readerOf(this.#descriptor, this.statePath) };
  }

  readMap(): MapFile | undefined {
    return readMapFile(this.mapPath);
  }

  hasMap(): boolean {
    return existsSync(this.mapPath);
  }

  async replaceMap(map: MapFile): Promise<void> {
    this.#makeFolder();
    await replaceMapFile(this.mapPath, map, { mode: MODE, sync: true });
  }

  async replaceState(header: MapHeader): Promise<void> {
    this.#makeFolder();
    const bytes = encodeHeader(header);
    const file = openDurableFile(this.statePath, { mode: MODE });
    try {
      writeFully(file.descriptor, bytes);
      await file.commit({ sync: true });
    } catch (error) {
      file.discard();
      throw about(this.statePath, error);
    }
    this.close();
    this.openState({ isReadOnly: false });
  }

  /** Behind everything that is there. */
  append(bytes: Uint8Array): void {
    try {
      writeFullySync(this.#state, bytes, this.#end);
    } catch (error) {
      throw systemFailure('write', error, this.statePath);
    }
    this.#end += bytes.length;
  }

  truncate(length: number): boolean {
    if (length >= this.#end) return false;
    try {
      ftruncateSync(this.#state, length);
    } catch (error) {
      throw systemFailure('set length', error, this.statePath);
    }
    this.#end = length;
    return true;
  }

  async sync(): Promise<void> {
    try {
      await sync(this.#state);
    } catch (error) {
      throw systemFailure('sync', error, this.statePath);
    }
  }

  /** Removes what a run left that was killed while it replaced one of the files. */
  removeRemains(): void {
    const prefixes = [this.mapPath, this.statePath].map((path) => `.#${basename(path)}`);
    const folder = dirname(this.mapPath);
    for (const name of namesIn(folder)) {
      const isOurs = prefixes.some(
        (prefix) => name.startsWith(prefix) && TEMPORARY_DIGITS.test(name.slice(prefix.length)),
      );
      if (isOurs) removeQuietly(join(folder, name));
    }
  }

  /** Removes both files. @returns whether there was one */
  remove(): boolean {
    this.close();
    // The state last: without it a map is nothing that we believe.
    const removed = [this.statePath, this.mapPath].map(removeThere);
    return removed.includes(true);
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  get #state(): number {
    if (this.#descriptor === undefined) throw new Error('the state is not open');
    return this.#descriptor;
  }

  #makeFolder(): void {
    try {
      mkdirSync(dirname(this.mapPath), { recursive: true, mode: 0o700 });
    } catch (error) {
      throw systemFailure('make folder', error, dirname(this.mapPath));
    }
  }
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function removeThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw systemFailure('remove', error, path);
  }
}
