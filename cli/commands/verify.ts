/** `verify` (spec/command-line.md). */
import type { Context } from '../context.ts';
import { refuse } from '../kinds.ts';

export async function verify(_words: readonly string[], _context: Context): Promise<void> {
  throw refuse("The verb 'verify' is not available in this version.");
}
