/** `mount` of the library: an archive or a blob as a file system of this machine (spec/api.md, "mount"). */
import { fstatSync, statSync } from 'node:fs';
import { throwIfAborted } from '../errors.ts';
import type { UidShift } from '../make/owner-rules.ts';
import { type FuseMount, mountFuse } from '../os/mount.node.ts';
import { blobFileName, openBlobFileSystem } from '../serve/fuse/blob-file-system.ts';
import type { MountedFileSystem } from '../serve/fuse/file-system.ts';
import type { FuseServer } from '../serve/fuse/fuse-server.ts';
import { serveFuse } from '../serve/fuse/serve-fuse.node.ts';
import { hiddenFeatures } from '../serve/fuse/shown-metadata.ts';
import { openTreeFileSystem } from '../serve/fuse/tree-file-system.ts';
import { unattended } from '../work/unattended.ts';
import { type OpenBlobOptions, type OpenedBlob, openBlob } from './open-blob.node.ts';
import { localPath, remotePlace } from './stores.node.ts';

/** A blob becomes a single file. */
export interface MountOptions extends Omit<OpenBlobOptions, 'readAhead'> {
  /** An empty folder on this machine. */
  readonly mountPoint: string;
  /** `false`: a missing mount point is a failure; by default it is made. */
  readonly makeMountPoint?: boolean;
  /** Locator of the input, as the mount is called among those of the machine; by default its label. */
  readonly source?: string;
  /** Numeric owners are shown with this shift. */
  readonly uidShift?: UidShift;
  /** Told of failures to read: whoever has read got an error, and the mount goes on. */
  readonly onFailure?: (error: unknown) => void;
}

export interface MountResult {
  /** Features of the archive that the mount does not show. */
  readonly hiddenFeatures: readonly string[];
  /**
   * Settles when the mount is gone, whoever has unmounted it, and everything is closed.
   * @throws PipelineError if it could not be unmounted
   */
  readonly ended: Promise<void>;
  /** Unmounts, also if files are in use; resolves as `ended` does. */
  unmount(): Promise<void>;
}

/** More than this makes reading in order no faster; see spec/mount.md. */
const READ_AHEAD_KIB = 1024;

/**
 * Mounts an input; resolves when its files can be read. This process answers the readers, so it must
 * not read them itself in a way that blocks. The signal unmounts.
 * @throws CasError, and nothing is mounted
 */
export async function mount(options: MountOptions): Promise<MountResult> {
  const { signal, mountPoint, makeMountPoint = true } = options;
  const opened = await openBlob(options);
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= opened.reader.close();
    return closing;
  };
  try {
    const { fileSystem, hidden } = await openFileSystem(opened, options);
    throwIfAborted(signal);
    const source = sourceOf(options);
    const mounted = await mountFuse(mountPoint, { source, makeFolder: makeMountPoint });
    const served = await serveMount({ fileSystem, mounted, close }, options);
    return { ...served, hiddenFeatures: hidden };
  } catch (error) {
    await close();
    throw error;
  }
}

interface ShownFileSystem {
  readonly fileSystem: MountedFileSystem;
  readonly hidden: readonly string[];
}

async function openFileSystem(
  { reader, expectedFlags }: OpenedBlob,
  options: MountOptions,
): Promise<ShownFileSystem> {
  const { kind, uidShift, signal } = options;
  if (kind === 'blob' || kind === 'blob-index') {
    const fileSystem = openBlobFileSystem(reader, {
      name: Buffer.from(blobFileName(sourceOf(options))),
      modifiedNs: modifiedNs(options),
      uid: process.geteuid?.() ?? 0,
      gid: process.getegid?.() ?? 0,
    });
    return { fileSystem, hidden: [] };
  }
  const fileSystem = await openTreeFileSystem(reader, {
    ...(expectedFlags === undefined ? {} : { expectedFlags }),
    ...(uidShift === undefined ? {} : { uidShift }),
    ...(signal === undefined ? {} : { signal }),
  });
  return { fileSystem, hidden: hiddenFeatures(fileSystem.featureFlags) };
}

/** Empty for what has no name. */
function sourceOf({ source, input, label }: MountOptions): string {
  return source ?? label ?? (typeof input === 'string' ? input : '');
}

/** Time of change of an input on this machine. */
function modifiedNs({ input }: MountOptions): bigint {
  if (typeof input === 'number') return fstatSync(input, { bigint: true }).mtimeNs;
  if (typeof input !== 'string' || remotePlace(input) !== undefined) return 0n;
  return statSync(localPath(input), { bigint: true }).mtimeNs;
}

interface Served {
  readonly fileSystem: MountedFileSystem;
  readonly mounted: FuseMount;
  /** Closes the input; may be called again. */
  readonly close: () => Promise<void>;
}

async function serveMount(
  { fileSystem, mounted, close }: Served,
  { signal, onFailure }: MountOptions,
): Promise<Omit<MountResult, 'hiddenFeatures'>> {
  const server = await startServer(mounted, fileSystem, onFailure);
  let unmounting: Promise<void> | undefined;
  // The server answers until the mount is gone; what waits for a store then is given up.
  const unmount = (): Promise<void> => {
    unmounting ??= unattended(mounted.unmount().finally(() => server.close()));
    return unmounting;
  };
  const stop = (): void => void unmount();
  // A connection that others have broken leaves a mount that nobody answers for.
  const ended = server.ended.then(unmount).finally(async () => {
    signal?.removeEventListener('abort', stop);
    await close();
  });
  unattended(ended);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await server.started;
    throwIfAborted(signal);
  } catch (error) {
    stop();
    await ended;
    throwIfAborted(signal);
    throw error;
  }
  mounted.raiseReadAhead(READ_AHEAD_KIB);
  return {
    ended,
    async unmount() {
      stop();
      await ended;
    },
  };
}

async function startServer(
  mounted: FuseMount,
  fileSystem: MountedFileSystem,
  onFailure: MountOptions['onFailure'],
): Promise<FuseServer> {
  try {
    return serveFuse(mounted.descriptor, fileSystem, onFailure ? { onFailure } : {});
  } catch (error) {
    await mounted.unmount();
    throw error;
  }
}
