/** `udev DEVNODE` (spec/nbd.md, "Kernel devices"): tells a rule of udev the name of a device of ours. */
import { publishedName } from '../../lib/serve/nbd/device-name.node.ts';
import type { Context } from '../context.ts';
import { refuse } from '../kinds.ts';

export async function udev(words: readonly string[], { stdout }: Context): Promise<void> {
  const [device] = words;
  if (device === undefined) throw refuse('Expected one argument.');
  const name = publishedName(device);
  if (name !== undefined) stdout.write(`CASYNC_NAME=${name}\n`);
}
