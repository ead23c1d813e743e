/** What a signature of rdiff says of a file (spec/bridges.md, "rdiff signatures"). */
import type { RdiffSignature } from '../../../formats/rdiff-signature.ts';
import { progressOf } from '../../progress.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import type { BridgeWork } from './bridge-work.ts';
import { isHole, piecesOfImage } from './image-pieces.node.ts';
import { strongSumOf } from './rdiff-signature.node.ts';
import { createRollingSum, weakSumOf } from './rolling-sum.ts';

const STRONG_LENGTH = 32;

export interface SignatureCheck {
  /** Blocks that are not what they were, and those that only one of both has. */
  readonly differentBlocks: number;
}

/** Compares an image with a signature, block by block in its place. @throws what reading throws */
export async function checkRdiffSignature(
  signature: RdiffSignature,
  image: ImageSource,
  { signal, onProgress }: BridgeWork,
): Promise<SignatureCheck> {
  const { blockSize, strongSum, weakSum } = signature.header;
  const sum = createRollingSum(weakSum);
  const strongOf = strongSumOf(strongSum);
  const strong = new Uint8Array(STRONG_LENGTH);
  const block = new Uint8Array(blockSize);
  let [number, filled, different, done] = [0, 0, 0, 0];
  let zeros: { readonly weak: number; readonly strong: Uint8Array } | undefined;
  for await (const piece of piecesOfImage(image, signal)) {
    for (let rest = piece; rest.length > 0; ) {
      if (isHole(piece) && filled === 0 && rest.length >= blockSize) {
        compareZeros();
        rest = rest.subarray(blockSize);
        continue;
      }
      const part = rest.subarray(0, blockSize - filled);
      block.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
      if (filled === blockSize) compare();
    }
    done += piece.length;
    onProgress?.(progressOf('import', done, image.size));
  }
  if (filled > 0) compare();
  return { differentBlocks: different + Math.max(0, signature.count - number) };

  function compare(): void {
    const bytes = block.subarray(0, filled);
    strongOf(bytes, strong, 0);
    count(weakSumOf(sum, bytes), strong);
    filled = 0;
  }

  /** A block of a hole. */
  function compareZeros(): void {
    if (zeros === undefined) {
      const bytes = new Uint8Array(blockSize);
      zeros = { weak: weakSumOf(sum, bytes), strong: new Uint8Array(STRONG_LENGTH) };
      strongOf(bytes, zeros.strong, 0);
    }
    count(zeros.weak, zeros.strong);
  }

  function count(weak: number, strongSumHere: Uint8Array): void {
    const isSame =
      number < signature.count &&
      signature.weakOf(number) === weak &&
      signature.hasStrong(number, strongSumHere);
    if (!isSame) different += 1;
    number += 1;
  }
}
