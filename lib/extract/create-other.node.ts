/** Making the entries that are neither directories nor files. Used by tree.node.ts. */
import type { CatarNode } from '../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../formats/catar-fields.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { PipelineError } from '../errors.ts';
import { statDescriptor } from '../os/file-stat.node.ts';
import type { ConfinedDir } from './confined-dir.node.ts';
import { withFeature } from './feature-failure.ts';

/** A link, device, fifo or socket under a name that nothing has. @throws PipelineError */
export function createOther(
  directory: ConfinedDir,
  name: Uint8Array,
  node: CatarNode,
  permissions: number,
): void {
  const { type, device } = node;
  switch (type) {
    case 'symlink':
      withFeature(FEATURE.symlinks, () =>
        directory.createSymlink(name, node.linkTarget ?? new Uint8Array(0)),
      );
      return;
    case 'character-device':
    case 'block-device':
    case 'fifo':
    case 'socket': {
      const special = { type, ...(device === undefined ? {} : { device }) };
      withFeature(SPECIAL_FEATURES[type], () =>
        directory.createSpecial(name, special, permissions),
      );
      return;
    }
    default:
      throw new TypeError(`cannot create a ${type} here`);
  }
}

const SPECIAL_FEATURES = {
  'character-device': FEATURE.deviceNodes,
  'block-device': FEATURE.deviceNodes,
  fifo: FEATURE.fifos,
  socket: FEATURE.sockets,
} as const;

/**
 * Between making an entry and opening it, others may have put something else in its place.
 * @throws PipelineError `UNSAFE_TARGET` without subject
 */
export function checkIsOurs(fd: number, node: CatarNode): void {
  const { mode, linkCount } = statDescriptor(fd);
  if (linkCount === 1 && nodeTypeOfMode(mode) === node.type) return;
  const reason = 'somebody has replaced this entry while it was made';
  throw new PipelineError('UNSAFE_TARGET', { step: 'create', reason });
}
