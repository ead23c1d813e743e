/** `sync` of the library with another machine, over ssh (spec/api.md, "syncRemote"). */
import { statSync } from 'node:fs';
import { hexOf } from '../../formats/bytes.ts';
import { IMAGE_KIND } from '../../formats/session-images.ts';
import { encodePull, encodePush } from '../../formats/session-open.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { readMapFile, replaceMapFile } from '../images/destination/map-file.node.ts';
import type { SessionConnection } from '../images/session/connection.ts';
import { receiveFile, sendFile } from '../images/session/image-ends.node.ts';
import { withSession } from '../images/session/open-session.node.ts';
import type { HeldTable } from '../images/session/sent-image.node.ts';
import {
  lookThere,
  pullTree,
  pushTree,
  type SyncedTree,
  type TreeWork,
} from '../images/trees/tree-ends.node.ts';
import { progressOf } from '../progress.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import type { Input } from './options.ts';
import { localPath, settingsOf } from './stores.node.ts';
import type { SyncOptions } from './sync.node.ts';
import { type SyncTreeWorkOptions, treeWork } from './sync-tree.node.ts';

/** An image that goes to the other machine. */
export interface PushedImage {
  readonly input: Input;
  /** Name of the input in messages; by default its path. */
  readonly label?: string;
  /** There, from the folder where the user arrives. */
  readonly path: string;
  /** Of the file, if that path is a directory. */
  readonly name?: string;
  /** There, if the input is a folder; by default the same. */
  readonly treePath?: string;
}

/** An image that comes from there. */
export interface PulledImage {
  readonly path: string;
  /** Path here. */
  readonly destination: string;
  /** Path here, if there is a folder there; by default the same. */
  readonly treeDestination?: string;
}

/** The same as those of `sync`, but for what needs both sides on one machine. */
type CommonOptions = Omit<
  SyncOptions,
  'destination' | 'input' | 'keep' | 'label' | 'map' | 'onUndo' | 'onWait'
>;

export interface SyncRemoteOptions extends CommonOptions {
  /** `[USER@]HOST`. */
  readonly host: string;
  /** What goes there, in this order. */
  readonly push?: readonly PushedImage[];
  /** What comes from there, after that. */
  readonly pull?: readonly PulledImage[];
  /** Map of the destination, on its side: `auto` (default), `none`, or a path for a single image. */
  readonly map?: string;
  /**
   * Path here of a map of what is there: if both agree, nothing is compared at all. Written anew after
   * each push; for a single image.
   */
  readonly heldMap?: string;
  /** Whether what is sent is compressed; default true. */
  readonly compress?: boolean;
  /** How folders are synced. Without it there are none to pull. */
  readonly trees?: SyncTreeWorkOptions;
}

export interface SyncedRemoteImage {
  readonly direction: 'push' | 'pull';
  /** Path there. */
  readonly path: string;
  readonly size: number;
  /** Names the version of the image that the destination has now: 64 hex digits. */
  readonly root: string;
  /** How it was found out what differs; undefined for a pull, where the other side knows. */
  readonly comparison?: string;
  /** Bytes of blocks that crossed, without zeros and before compression. */
  readonly transferredBytes: number;
  readonly writtenBytes: number;
  readonly holeBytes: number;
  readonly destinationReadBytes: number;
  readonly unreadableBytes: number;
  readonly sourceChange?: string;
}

/** A folder and all that is in it. */
export interface SyncedRemoteTree extends SyncedTree {
  readonly direction: 'push' | 'pull';
  /** Path there. */
  readonly path: string;
}

export interface SyncRemoteResult {
  readonly images: readonly SyncedRemoteImage[];
  readonly trees: readonly SyncedRemoteTree[];
  /** Bytes on the wire. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly totalMs: number;
}

/**
 * Brings files and devices on another machine to the content of images here, or the other way round, in
 * one session. Resolves when everything is on disk there.
 * @throws CasError as `sync`; `UNAVAILABLE` if the other side is gone: the next run goes on from there
 */
export async function syncRemote(options: SyncRemoteOptions): Promise<SyncRemoteResult> {
  const started = performance.now();
  const { host, push = [], pull = [], compress: compresses = true, signal } = options;
  const isSingle = push.length + pull.length === 1;
  if (
    !isSingle &&
    (options.heldMap !== undefined || ![undefined, 'auto', 'none'].includes(options.map))
  ) {
    throw new PipelineError('USAGE', { subject: host, reason: 'a map is of one image' });
  }
  const settings = settingsOf(`${host}:.`, options);
  const onWarning = options.onWarning ?? (() => undefined);
  try {
    return await withSession(
      host,
      { settings, compresses, signal, onWarning },
      async (connection) => {
        const session = new RemoteSync(connection, options);
        const images: SyncedRemoteImage[] = [];
        const trees: SyncedRemoteTree[] = [];
        for (const image of push) {
          if (isFolder(image)) trees.push(await session.pushTree(image));
          else images.push(await session.repeated(() => session.push(image)));
        }
        for (const image of pull) {
          if (await session.isTreeThere(image)) trees.push(await session.pullTree(image));
          else images.push(await session.repeated(() => session.pull(image)));
        }
        const { sentBytes, receivedBytes } = connection;
        const totalMs = performance.now() - started;
        return { images, trees, sentBytes, receivedBytes, totalMs };
      },
    );
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  }
}

class RemoteSync {
  readonly #connection: SessionConnection;
  readonly #options: SyncRemoteOptions;
  readonly #threadCount: number;

  constructor(connection: SessionConnection, options: SyncRemoteOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#threadCount = options.threadCount ?? defaultThreadCount();
  }

  /** What changed while it was read is read again, as often as the options say. */
  async repeated(work: () => Promise<SyncedRemoteImage>): Promise<SyncedRemoteImage> {
    const { ifSourceChanged = 'fail', onWarning } = this.#options;
    const retries = typeof ifSourceChanged === 'object' ? ifSourceChanged.retries : 0;
    for (let pass = 0; ; pass++) {
      const result = await work();
      const { sourceChange, path } = result;
      if (sourceChange === undefined) return result;
      if (pass < retries) {
        onWarning?.(`${path}: ${sourceChange}; it is read again`);
        continue;
      }
      const reason = `${sourceChange}; the destination has what was read, run it again`;
      if (ifSourceChanged !== 'warn') {
        throw new PipelineError('SOURCE_CHANGED', { subject: path, step: 'sync', reason });
      }
      onWarning?.(`${path}: ${reason}`);
      return result;
    }
  }

  async push(image: PushedImage): Promise<SyncedRemoteImage> {
    const { heldMap, onReadError, snapshot, signal, onWarning = () => undefined } = this.#options;
    const { input, label } = image;
    const held = heldMap === undefined ? undefined : readHeld(heldMap);
    const sent = await sendFile(this.#connection, {
      input,
      snapshot,
      held,
      signal,
      onWarning,
      threadCount: this.#threadCount,
      skipsUnreadable: onReadError === 'skip',
      onProgress: (done, total) => this.#progress(done, total),
      begin: () => this.#connection.send(IMAGE_KIND.push, this.#pushMessage(image)),
      ...(label === undefined ? {} : { label }),
    });
    if (heldMap !== undefined && this.#options.dryRun !== true && sent.table !== undefined) {
      await replaceMapFile(localPath(heldMap), sent.table, { mode: 0o600, sync: true });
    }
    const { done, size, way, sourceChange, unreadableBytes, sentBlockBytes } = sent;
    return {
      direction: 'push',
      path: image.path,
      size,
      root: hexOf(done.root),
      comparison: way,
      transferredBytes: sentBlockBytes,
      writtenBytes: done.writtenBytes,
      holeBytes: done.holeBytes,
      destinationReadBytes: done.readBytes,
      unreadableBytes,
      ...(sourceChange === undefined ? {} : { sourceChange }),
    };
  }

  async pull({ path, destination }: PulledImage): Promise<SyncedRemoteImage> {
    const { onReadError, snapshot, noCache = false, verify } = this.#options;
    const message = encodePull({
      path: utf8(path),
      skipsUnreadable: onReadError === 'skip',
      snapshot,
      noCache,
    });
    await this.#connection.send(IMAGE_KIND.pull, message);
    const received = await receiveFile(this.#connection, {
      path: localPath(destination),
      verify,
      update: this.#updateOptions(),
      onProgress: (done, total) => this.#progress(done, total),
    });
    const { size, root, sourceChange, receivedBlockBytes, ...counts } = received;
    const { writtenBytes, holeBytes, readBytes, unreadableBytes } = counts;
    return {
      ...{ direction: 'pull', path, size, writtenBytes, holeBytes, unreadableBytes },
      root: hexOf(root),
      transferredBytes: receivedBlockBytes,
      destinationReadBytes: readBytes,
      ...(sourceChange === undefined ? {} : { sourceChange }),
    };
  }

  async pushTree({ input, path, treePath = path }: PushedImage): Promise<SyncedRemoteTree> {
    const source = localPath(String(input));
    const result = await pushTree(this.#connection, source, treePath, this.#treeWork());
    return { direction: 'push', path: treePath, ...result };
  }

  async isTreeThere({ path }: PulledImage): Promise<boolean> {
    if (this.#options.trees === undefined) return false;
    return (await lookThere(this.#connection, path)) === 'directory';
  }

  async pullTree(image: PulledImage): Promise<SyncedRemoteTree> {
    const { path, treeDestination = image.destination } = image;
    const target = localPath(treeDestination);
    const result = await pullTree(this.#connection, path, target, this.#treeWork());
    return { direction: 'pull', path, ...result };
  }

  #treeWork(): TreeWork {
    const { trees = {}, check, dryRun, fsync, signal, onProgress } = this.#options;
    return treeWork({
      ...trees,
      threadCount: this.#threadCount,
      fsync: fsync !== 'none',
      ...(check === undefined ? {} : { check }),
      ...(dryRun === undefined ? {} : { dryRun }),
      ...(signal ? { signal } : {}),
      ...(onProgress ? { onProgress } : {}),
    });
  }

  #progress(done: number, total: number | undefined): void {
    this.#options.onProgress?.(progressOf('sync', done, total));
  }

  #pushMessage({ path, name }: PushedImage): Uint8Array {
    const { map, dryRun, size, blockSize, digest, check, sparse, discard } = this.#options;
    const { forceDevice, batch, fsync, verify, noCache } = this.#options;
    return encodePush({
      path: utf8(path),
      name: name === undefined ? undefined : utf8(name),
      isDryRun: dryRun ?? false,
      sizePolicy: size,
      map: map === undefined ? undefined : utf8(map),
      ...{ blockSize, digest, sparse, batch, fsync, verify },
      isChecked: check ?? false,
      discards: discard ?? false,
      forcesDevice: forceDevice ?? false,
      noCache: noCache ?? false,
    });
  }

  #updateOptions() {
    const { map, size, blockSize, digest, check, sparse, discard } = this.#options;
    const { forceDevice, batch, fsync, noCache, signal, onWarning } = this.#options;
    return {
      ...{ sizePolicy: size, blockSize, digest, batch, fsync, signal },
      isDryRun: this.#options.dryRun ?? false,
      threadCount: this.#threadCount,
      ...(map === undefined ? {} : { map }),
      ...(sparse === undefined ? {} : { sparse }),
      check: check ?? false,
      discard: discard ?? false,
      forceDevice: forceDevice ?? false,
      noCache: noCache ?? false,
      ...(onWarning === undefined ? {} : { onWarning }),
    };
  }
}

function isFolder({ input }: PushedImage): boolean {
  if (typeof input !== 'string') return false;
  return statSync(localPath(input), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** @throws PipelineError, FormatError if there is something else at that path */
function readHeld(path: string): HeldTable | undefined {
  return readMapFile(localPath(path));
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
