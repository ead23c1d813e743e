/** Which inodes a tree consists of and when each was changed last: equal exactly if nothing touched it. */
import { lstatSync, readdirSync } from 'node:fs';

/**
 * Path below the root, a character for each byte -> inode, time of the last change of the content, and
 * of anything. The root is `.`.
 */
export function identitiesOf(root: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  const visit = (path: string, shown: string): void => {
    const bytes = Buffer.from(path, 'latin1');
    const stat = lstatSync(bytes, { bigint: true });
    found[shown] = `${stat.ino} ${stat.mtimeNs} ${stat.ctimeNs}`;
    if (!stat.isDirectory()) return;
    for (const name of readdirSync(bytes, { encoding: 'latin1' })) {
      visit(`${path}/${name}`, shown === '.' ? name : `${shown}/${name}`);
    }
  };
  visit(Buffer.from(root).toString('latin1'), '.');
  return found;
}
