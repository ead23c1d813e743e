/** Blobs that behave in ways that readers must cope with. */
import { PipelineError } from '../../lib/errors.ts';
import { type BlobBytes, type BlobReader, withinBlob } from '../../lib/read/blob-reader.ts';

export interface TestBlobOptions {
  /** Answers come as promises, one turn of the event loop later. */
  readonly isLate?: boolean;
  /** Every read of a place fails the first time. */
  readonly failsFirst?: boolean;
  /** Bytes are given in pieces of this length. */
  readonly pieceLength?: number;
}

export interface TestBlob {
  readonly blob: BlobReader;
  /** What has been asked for so far, and how much of it is not released. */
  readonly counts: { bytes: number; held: number };
}

/** A blob of these bytes. What was released is overwritten. */
export function testBlob(bytes: Uint8Array, options: TestBlobOptions = {}): TestBlob {
  const { isLate = false, failsFirst = false, pieceLength = 1000 } = options;
  const counts = { bytes: 0, held: 0 };
  const asked = new Set<number>();
  const answer = (offset: number, length: number): BlobBytes => {
    if (failsFirst && !asked.has(offset)) {
      asked.add(offset);
      throw new PipelineError('IO', { subject: 'test.catar', reason: 'the store is away' });
    }
    const pieces: Uint8Array[] = [];
    for (let at = offset; at < offset + length; at += pieceLength) {
      pieces.push(bytes.slice(at, Math.min(at + pieceLength, offset + length)));
    }
    counts.bytes += length;
    counts.held += 1;
    return {
      pieces,
      length,
      release() {
        counts.held -= 1;
        for (const piece of pieces) piece.fill(0xee);
      },
    };
  };
  const blob: BlobReader = {
    label: 'test.catar',
    size: bytes.length,
    read(range) {
      const { offset, length } = withinBlob(range, bytes.length);
      if (!isLate) return answer(offset, length);
      return new Promise((resolve) => setImmediate(resolve)).then(() => answer(offset, length));
    },
    extentAt: () => ({ end: bytes.length, isZero: false }),
    close: async () => {},
  };
  return { blob, counts };
}
