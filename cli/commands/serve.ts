/** `serve` (spec/remote.md). */
import type { Context } from '../context.ts';
import { refuse } from '../kinds.ts';

export async function serve(_words: readonly string[], _context: Context): Promise<void> {
  throw refuse("The verb 'serve' is not available in this version.");
}
