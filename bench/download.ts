/**
 * The plain download that extraction from a bucket is compared with: our client gets all objects of a
 * store, many at a time, and drops them. It is bundled, so that it starts as fast as the product.
 * Used by peers.ts.
 */
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const OUT = join(import.meta.dirname, '../node_modules/.cache/casync-bench/download.mjs');
let isBuilt = false;

/** Path of the program; its only argument is the locator of the store. */
export function downloadProgram(): string {
  if (!isBuilt) {
    buildSync({
      entryPoints: [join(import.meta.dirname, 'download-main.ts')],
      outfile: OUT,
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
    });
  }
  isBuilt = true;
  return OUT;
}
