/** `config` (spec/remote.md). */
import type { Context } from '../context.ts';
import { refuse } from '../kinds.ts';

export async function config(_words: readonly string[], _context: Context): Promise<void> {
  throw refuse("The verb 'config' is not available in this version.");
}
