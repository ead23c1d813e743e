/** SEEK_DATA and SEEK_HOLE: stretches of zeros are the holes of a file. Used by the FUSE server. */
import { Errno } from '../../../formats/fuse-protocol.ts';
import type { FuseSeekRequest } from '../../../formats/fuse-requests.ts';
import type { SignalOption } from '../../../store/backend.ts';
import { throwIfAborted } from '../../errors.ts';
import { createBreather } from '../../work/breathe.ts';
import type { MountedFileSystem } from './file-system.ts';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** @returns where the next data or hole begins, or an error number */
export async function seekExtent(
  fileSystem: MountedFileSystem,
  inode: number,
  { offset, whence }: FuseSeekRequest,
  options: SignalOption,
): Promise<{ readonly offset: number } | number> {
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return Errno.EINVAL;
  const { size } = await fileSystem.attributes(inode, options);
  const isHoleWanted = whence === SEEK_HOLE;
  const breathe = createBreather();
  for (let position = offset; position < size; ) {
    const soon = fileSystem.extentAt(inode, position, options);
    const extent = soon instanceof Promise ? await soon : soon;
    if (extent.isZero === isHoleWanted) return { offset: position };
    position = Math.max(extent.end, position + 1);
    const breath = breathe();
    if (breath !== undefined) await breath;
    throwIfAborted(options.signal);
  }
  // There is a hole behind the end of every file.
  return isHoleWanted && offset < size ? { offset: size } : Errno.ENXIO;
}
