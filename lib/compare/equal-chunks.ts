/** What two indexes say to be equal without looking at any chunk. Pure. */
import { equalBytes } from '../../formats/bytes.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';

/** An offset behind an index. */
export interface IndexPlace {
  readonly index: ChunkIndex;
  readonly offset: number;
}

/**
 * How many bytes from these places on lie in chunks that are the same, up to `length`. Those behind them
 * may be equal, too.
 */
export function equalLength(a: IndexPlace, b: IndexPlace, length: number): number {
  if (a.index.digest !== b.index.digest) return 0;
  let done = 0;
  while (done < length) {
    const left = chunkFrom(a.index, a.offset + done);
    const right = chunkFrom(b.index, b.offset + done);
    if (left === undefined || right === undefined) break;
    if (left.passed !== right.passed || !equalBytes(left.id, right.id)) break;
    done += Math.min(left.rest, right.rest);
  }
  return Math.min(done, length);
}

/** The chunk at an offset: its id, and how many of its bytes lie before and behind. */
function chunkFrom(index: ChunkIndex, offset: number) {
  if (offset >= index.totalSize) return undefined;
  const chunk = index.chunkAt(offset);
  const passed = offset - index.start(chunk);
  return { id: index.idBytes(chunk), passed, rest: index.end(chunk) - offset };
}
