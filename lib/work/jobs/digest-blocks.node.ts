/** Job of everything about images: a part of the source is read, and its blocks are digested. */
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import { about, isCasError } from '../../../formats/errors.ts';
import { isZero } from '../../extract/sparse.node.ts';
import { readSource } from '../../make/read-source.node.ts';
import type { JobContext } from '../job-context.node.ts';
import type { SegmentOrigin } from './scan-segment.node.ts';

export interface DigestBlocksInput {
  /** Of the part in the shared memory. */
  readonly address: number;
  /** Bytes of the part: whole blocks, and what is left at the end of the image. */
  readonly length: number;
  readonly blockSize: number;
  /** Read them from here first. */
  readonly from?: SegmentOrigin;
  /** Whether blocks that cannot be read are left out, instead of failing. */
  readonly skipsUnreadable?: boolean;
}

export interface DigestBlocksOutput {
  /** 32 bytes for each block, zero bytes for those that could not be read. */
  readonly digests: Uint8Array;
  /** What each block is. */
  readonly kinds: Uint8Array;
}

/** Values of {@link DigestBlocksOutput.kinds}. */
export const BLOCK_KIND = { data: 0, zeros: 1, unreadable: 2 } as const;

/** @throws PipelineError `SOURCE_CHANGED` if the source became shorter, `IO` */
export function digestBlocks(context: JobContext, input: DigestBlocksInput): DigestBlocksOutput {
  const { address, length, blockSize, from } = input;
  const bytes = context.bytes(address, length);
  const count = Math.ceil(length / blockSize);
  const kinds = new Uint8Array(count);
  if (from !== undefined) readPart(bytes, from, kinds, input);
  const digests = new Uint8Array(count * DIGEST_LENGTH);
  for (let i = 0; i < count; i++) {
    if (kinds[i] === BLOCK_KIND.unreadable) continue;
    const block = bytes.subarray(i * blockSize, (i + 1) * blockSize);
    if (isZero(block)) {
      kinds[i] = BLOCK_KIND.zeros;
      digests.set(context.zeroBlockDigest(block.length), i * DIGEST_LENGTH);
    } else context.blockDigest.write(block, digests, i * DIGEST_LENGTH);
  }
  return { digests, kinds };
}

function readPart(
  bytes: Uint8Array,
  from: SegmentOrigin,
  kinds: Uint8Array,
  { blockSize, skipsUnreadable = false }: DigestBlocksInput,
): void {
  const { descriptor, offset, label } = from;
  try {
    readSource(descriptor, bytes, offset);
  } catch (error) {
    if (!skipsUnreadable || !isCasError(error) || error.code !== 'IO') throw about(label, error);
    readBlocks(bytes, from, kinds, blockSize);
  }
}

/** One by one: those that cannot be read are marked. */
function readBlocks(
  bytes: Uint8Array,
  { descriptor, offset, label }: SegmentOrigin,
  kinds: Uint8Array,
  blockSize: number,
): void {
  for (let i = 0; i < kinds.length; i++) {
    const block = bytes.subarray(i * blockSize, (i + 1) * blockSize);
    try {
      readSource(descriptor, block, offset + i * blockSize);
    } catch (error) {
      if (!isCasError(error) || error.code !== 'IO') throw about(label, error);
      kinds[i] = BLOCK_KIND.unreadable;
    }
  }
}
