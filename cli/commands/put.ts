/** `put` (spec/command-line.md). */
import type { Context } from '../context.ts';
import { refuse } from '../kinds.ts';

export async function put(_words: readonly string[], _context: Context): Promise<void> {
  throw refuse("The verb 'put' is not available in this version.");
}
