/**
 * Bundles the command (cli/main.ts), the library (lib/index.node.ts) and the script of their threads
 * into dist. Run by `npm run build` and `prepack`, and in a source checkout whose bundles are missing or
 * old by the launcher (casync.cjs) and the library (library.mjs).
 */
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import bundles from './bundles.cjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Found at run time in node_modules, and only when used: native code, WASM, and what few runs need. */
const EXTERNAL = [
  '@aws-sdk/credential-providers',
  '@foxglove/wasm-zstd',
  '@smithy/signature-v4',
  'basic-ftp',
  'koffi',
  'smol-toml',
  'undici',
  'xz-decompress',
];

/** Kernel times are coarse; a source changed this shortly before the build is built once more. */
const TIME_GRAIN_MS = 20;

/** What CommonJS lacks. */
const BANNER = `const importMetaUrl = require('node:url').pathToFileURL(__filename).href;`;

/**
 * Builds the bundles and their source maps. Each appears complete or not at all, so that any number of
 * builds may run at the same time.
 */
export async function build() {
  const startedMs = Date.now();
  const esbuild = await import('esbuild');
  const result = await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: [
      { in: 'lib/work/worker.node.ts', out: 'worker' },
      { in: 'lib/index.node.ts', out: 'library' },
      { in: 'cli/main.ts', out: 'casync' },
    ],
    outdir: bundles.DIST,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    external: EXTERNAL,
    // Code that was compiled before (compile-cache.cjs) can only require.
    supported: { 'dynamic-import': false },
    banner: { js: BANNER },
    define: { 'import.meta.url': 'importMetaUrl' },
    sourcemap: 'linked',
    sourcesContent: false,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
  });
  mkdirSync(bundles.DIST, { recursive: true });
  // Whoever sees the command or the library finds the script of the threads.
  const files = result.outputFiles.toSorted((a, b) => rankOf(a) - rankOf(b));
  for (const { path, contents } of files) publish(path, contents, startedMs - TIME_GRAIN_MS);
}

function rankOf({ path }) {
  return [bundles.LIBRARY, bundles.PROGRAM].indexOf(path);
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
