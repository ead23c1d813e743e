/** A tree with a file of each way in which files are compared with older ones, for tests of that. */
import { bare, directory, type ForgedNode, file, symlink } from '../hostile/forge.ts';
import { noise } from './golden.ts';

const TIME = 1_234_567_890_123_456_789n;

export const CONTENT = noise(3_000_000);

/** Of a file of each way in which files are compared, in bytes. */
export const SIZES = { none: 0, small: 5000, streamed: 200_000, large: 3_000_000 } as const;

export function olderTree(): ForgedNode {
  const entry = (mode: number) => ({ mode, mtime: TIME });
  const files = Object.entries(SIZES).map(([name, size]) => {
    return [name, file(CONTENT.subarray(0, size), { entry: entry(0o100644) })] as const;
  });
  return directory(
    [
      ['dir', directory([['inner', file('x')]], { entry: entry(0o040755) })],
      ['fifo', bare(0o010644, { entry: entry(0o010644) })],
      ['link', symlink('somewhere', { entry: entry(0o120777) })],
      ...files,
    ].sort(([a], [b]) => (a < b ? -1 : 1)) as ForgedNode['children'] & object,
    { entry: entry(0o040755) },
  );
}
