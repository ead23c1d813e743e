/** What this process holds open. Others of its files come and go as they like. */
import { readdirSync, readlinkSync } from 'node:fs';

/** Descriptors of this process that lead into the folder, or to what was in it. */
export function descriptorCount(folder: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(folder);
    } catch {
      // Closed since it was listed.
      return false;
    }
  }).length;
}
