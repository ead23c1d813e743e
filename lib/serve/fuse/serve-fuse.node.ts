/** A read-only file system for the kernel, over a descriptor of /dev/fuse. Used by `mount`. */
import type { MountedFileSystem } from './file-system.ts';
import { openFuseDevice } from './fuse-device.node.ts';
import { type FuseServer, type FuseServerOptions, serveFuseDevice } from './fuse-server.ts';

/**
 * Answers what the kernel asks, until the file system is unmounted. May begin before or after mounting.
 * @param descriptor of /dev/fuse; it is closed in the end, also if this throws
 * @throws PipelineError where the device cannot be watched
 */
export function serveFuse(
  descriptor: number,
  fileSystem: MountedFileSystem,
  options?: FuseServerOptions,
): FuseServer {
  const device = openFuseDevice(descriptor);
  try {
    return serveFuseDevice(device, fileSystem, options);
  } catch (error) {
    device.close();
    throw error;
  }
}
