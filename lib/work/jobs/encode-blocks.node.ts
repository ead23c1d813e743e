/** Job of packs: blocks that lie in the shared memory are compressed, each on its own, where that pays. */
import { compressedRoom } from '../../../store/transforms.ts';
import type { JobContext } from '../job-context.node.ts';

export interface EncodeBlocksInput {
  /** Addresses of the blocks in the shared memory. */
  readonly addresses: readonly number[];
  /** Bytes of each of them. */
  readonly lengths: readonly number[];
}

/**
 * The stored forms take the places of the blocks: none is longer than its block.
 * @returns bytes of each; a block that has as many as before is stored as it is
 * @throws StorageError `IO` if the codec does not give back what it got
 */
export async function encodeBlocks(
  context: JobContext,
  { addresses, lengths }: EncodeBlocksInput,
): Promise<Uint32Array> {
  const longest = Math.max(0, ...lengths);
  const [into, proof] = [new Uint8Array(compressedRoom(longest)), new Uint8Array(longest)];
  const storedLengths = Uint32Array.from(lengths);
  for (const [i, length] of lengths.entries()) {
    const block = context.bytes(addresses[i], length);
    const encoded = await context.transcoder.encode(block, { subject: '', into, proof });
    if (encoded.length >= length) continue;
    block.set(encoded);
    storedLengths[i] = encoded.length;
  }
  return storedLengths;
}
