/** The bytes of an image in order, for work that needs no blocks. Holes are not read. */

import { about } from '../../../formats/errors.ts';
import { throwIfAborted } from '../../errors.ts';
import { readSource } from '../../make/read-source.node.ts';
import { copyBytes } from '../../os/memory.node.ts';
import { SegmentRing } from '../../work/segment-ring.ts';
import type { ImageSource } from '../source/image-source.node.ts';

const PIECE_LENGTH = 1024 * 1024;
const ZEROS = new Uint8Array(PIECE_LENGTH);

/** Whether a piece is known to be zeros. */
export function isHole(piece: Uint8Array): boolean {
  return piece.buffer === ZEROS.buffer;
}

/**
 * Pieces, valid until the next is taken; of a hole {@link ZEROS}, or a part of it, again and again.
 * @throws PipelineError `SOURCE_CHANGED`, `IO`, `ABORTED`
 */
export async function* piecesOfImage(
  image: ImageSource,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const ring = new SegmentRing({
    reservedSize: 0,
    slotSize: PIECE_LENGTH,
    slotCount: 1,
    copy: copyBytes,
  });
  const layout = { length: PIECE_LENGTH, blockSize: 4096 };
  for await (const part of image.parts(ring, layout)) {
    throwIfAborted(signal);
    if (part.kind === 'zeros') {
      for (let rest = part.length; rest > 0; rest -= PIECE_LENGTH) {
        yield ZEROS.subarray(0, Math.min(rest, PIECE_LENGTH));
      }
      continue;
    }
    const bytes = ring.view(part.address, part.length);
    if (part.from !== undefined) read(bytes, part.from);
    yield bytes;
    ring.release(part.address);
  }
}

interface Origin {
  readonly descriptor: number;
  readonly offset: number;
  readonly label: string;
}

function read(bytes: Uint8Array, { descriptor, offset, label }: Origin): void {
  try {
    readSource(descriptor, bytes, offset);
  } catch (error) {
    throw about(label, error);
  }
}
