/**
 * A frozen copy of a source that shares its blocks, without a name: it is gone when it is closed
 * (spec/images.md, "A source that changes").
 */
import { closeSync, constants, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { PipelineError } from '../../errors.ts';
import { cloneRange } from '../../os/clone.node.ts';
import { isOpenForWriting } from '../../os/lease.node.ts';
import { errnoOf, systemFailure } from '../../os/system-error.node.ts';
import { imageOfFile } from './image-source.node.ts';
import type { OpenedImage } from './open-image.node.ts';

export type SnapshotPolicy = 'auto' | 'reflink' | 'none';

/** O_TMPFILE, which Node does not name. */
const WITHOUT_NAME = 0o20000000 | constants.O_DIRECTORY | constants.O_RDWR;
const WHOLE = 0;
/** Folders that may not be written, and file systems that cannot do it. */
const IMPOSSIBLE = new Set(['EACCES', 'EISDIR', 'ENOENT', 'EOPNOTSUPP', 'EPERM', 'EROFS']);

/**
 * The image, frozen if the policy says so. `auto` freezes what somebody has open for writing, where the
 * file system can.
 * @param path of the source; undefined where it has none
 * @returns the image itself where nothing was frozen; whoever closes the result closes both
 * @throws PipelineError `UNSUPPORTED` if a copy was asked for and there can be none
 */
export function freeze(
  image: OpenedImage,
  path: string | undefined,
  policy: SnapshotPolicy,
): OpenedImage {
  const { kind, label, descriptor } = image;
  if (policy === 'none') return image;
  const refuse = (reason: string): OpenedImage => {
    if (policy === 'auto') return image;
    throw new PipelineError('UNSUPPORTED', { subject: label, step: 'freeze', reason });
  };
  if (kind !== 'file' || descriptor === undefined || path === undefined) {
    return refuse('only a regular file can be frozen; use --snapshot=none');
  }
  if (policy === 'auto' && isOpenForWriting(descriptor) !== true) return image;
  const copy = createBeside(path, label);
  if (copy === undefined) {
    return refuse('no file can be made beside it; use --snapshot=none');
  }
  try {
    if (cloneRange(descriptor, copy, { from: 0, to: 0, length: WHOLE })) return frozen(image, copy);
  } catch (error) {
    closeSync(copy);
    throw error;
  }
  closeSync(copy);
  return refuse('its file system cannot share blocks; use --snapshot=none');
}

/** A file on the same file system. */
function createBeside(path: string, label: string): number | undefined {
  try {
    return openSync(dirname(path), WITHOUT_NAME, 0o600);
  } catch (error) {
    if (IMPOSSIBLE.has(errnoOf(error) ?? '')) return undefined;
    throw systemFailure('freeze', error, label);
  }
}

function frozen(image: OpenedImage, copy: number): OpenedImage {
  const { label, size = 0 } = image;
  return {
    ...image,
    descriptor: copy,
    source: () => imageOfFile({ descriptor: copy, label, size }),
    close() {
      closeSync(copy);
      image.close();
    },
  };
}
