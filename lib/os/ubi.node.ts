/** Volumes of raw flash (UBI), which take new content only as one announced stream. For extraction. */
import { PipelineError } from '../errors.ts';
import { check, libc } from './libc.node.ts';

const VOLUME_UPDATE = 0x40084f00;
const STEP = 'start update of flash volume';

/**
 * Announces that the next `size` bytes written are the volume's new content.
 * @throws PipelineError without subject; `UNSUPPORTED` without koffi
 */
export function startVolumeUpdate(fd: number, size: number): void {
  const c = libc();
  if (c === undefined) {
    throw new PipelineError('UNSUPPORTED', { step: STEP, reason: 'flash volumes need koffi' });
  }
  const argument = new Uint8Array(BigInt64Array.of(BigInt(size)).buffer);
  check(c.ioctl(fd, VOLUME_UPDATE, 'void *', argument), STEP);
}
