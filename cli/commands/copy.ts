/** `copy` (spec/remote.md). */
import type { Context } from '../context.ts';
import { refuse } from '../kinds.ts';

export async function copy(_words: readonly string[], _context: Context): Promise<void> {
  throw refuse("The verb 'copy' is not available in this version.");
}
