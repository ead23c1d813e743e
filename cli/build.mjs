/**
 * Bundles cli/main.ts and everything below it into dist/casync.cjs, and the script of its threads into
 * dist/worker.cjs. Run by `npm run build` and
 * `prepack`, and by the launcher (casync.cjs) in a source checkout whose bundle is missing or old.
 */
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Found at run time in node_modules, and only when used: native code and WASM beside the code. */
const EXTERNAL = ['koffi', '@foxglove/wasm-zstd', 'xz-decompress'];

/** Kernel times are coarse; a source changed this shortly before the build is built once more. */
const TIME_GRAIN_MS = 20;

/** What CommonJS lacks. */
const BANNER = `const importMetaUrl = require('node:url').pathToFileURL(__filename).href;`;

/**
 * Builds the bundle and its source map. Both appear complete or not at all, so that any number of
 * builds may run at the same time.
 * @param outFile path of the bundle; the map goes beside it
 */
export async function build(outFile = join(ROOT, 'dist', 'casync.cjs')) {
  const startedMs = Date.now();
  const esbuild = await import('esbuild');
  const result = await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: [
      { in: 'cli/main.ts', out: basename(outFile, '.cjs') },
      { in: 'lib/work/worker.node.ts', out: 'worker' },
    ],
    outdir: dirname(outFile),
    outExtension: { '.js': '.cjs' },
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: EXTERNAL,
    banner: { js: BANNER },
    define: { 'import.meta.url': 'importMetaUrl' },
    sourcemap: 'linked',
    sourcesContent: false,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
  });
  mkdirSync(dirname(outFile), { recursive: true });
  // The bundle last: whoever sees it finds everything else.
  const files = result.outputFiles.toSorted(
    (a, b) => rank(a.path, outFile) - rank(b.path, outFile),
  );
  for (const { path, contents } of files) publish(path, contents, startedMs - TIME_GRAIN_MS);
}

function rank(path, outFile) {
  return path === outFile ? 1 : 0;
}

function publish(path, contents, modifiedMs) {
  const temporary = join(dirname(path), `.#${basename(path)}${process.pid}.${Date.now()}`);
  try {
    writeFileSync(temporary, contents);
    // As old as the sources it was made from, so that a change during the build is seen.
    utimesSync(temporary, modifiedMs / 1000, modifiedMs / 1000);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await build();
