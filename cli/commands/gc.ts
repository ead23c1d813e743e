/** `gc` (spec/command-line.md). */
import type { Context } from '../context.ts';
import { refuse } from '../kinds.ts';

export async function gc(_words: readonly string[], _context: Context): Promise<void> {
  throw refuse("The verb 'gc' is not available in this version.");
}
