/** Remembers what the file systems met on a walk can do, so that each is asked once. */
import type { FileStat } from '../os/file-stat.node.ts';
import { fileSystemType } from '../os/file-system.node.ts';
import { getInodeFlags } from '../os/inode-flags.node.ts';

export interface FileSystems {
  /** Number of the type of file system that an open file is on. @throws PipelineError */
  typeOf(stat: FileStat, fd: number): number;
  /** Flags of chattr(1) of an open file or directory, 0 where there are none. @throws PipelineError */
  inodeFlagsOf(stat: FileStat, fd: number): number;
}

const TYPE_BITS = 0o170000;
const TYPE_END = 0o200000;
/** Answers for each file as it likes. */
const FUSE = 0x65735546;

/** @param onType told of the type of each file system when it is met first */
export function createFileSystems(onType?: (type: number) => void): FileSystems {
  const types = new Map<number, number>();
  const withoutInodeFlags = new Set<number>();
  const typeOf = (stat: FileStat, fd: number): number => {
    const known = types.get(stat.device);
    if (known !== undefined) return known;
    const type = fileSystemType(fd);
    types.set(stat.device, type);
    onType?.(type);
    return type;
  };
  const inodeFlagsOf = (stat: FileStat, fd: number): number => {
    // Some file systems have flags on files only or on directories only.
    const key = stat.device * TYPE_END + (stat.mode & TYPE_BITS);
    if (withoutInodeFlags.size > 0 && withoutInodeFlags.has(key)) return 0;
    const flags = getInodeFlags(fd);
    if (flags === undefined && typeOf(stat, fd) !== FUSE) withoutInodeFlags.add(key);
    return flags ?? 0;
  };
  return { typeOf, inodeFlagsOf };
}
