/** The job of a thread that belongs to a block device: to stay in the kernel as long as the device is there. */
import { holdDevice as hold } from '../../os/nbd-device.node.ts';

export interface HoldDeviceInput {
  /** Descriptor of the device. */
  readonly device: number;
}

/** Ends when the device is disconnected. @returns 0, or the number of what went wrong */
export function holdDevice(_context: unknown, { device }: HoldDeviceInput): number {
  return hold(device);
}
