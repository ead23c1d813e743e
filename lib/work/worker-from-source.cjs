/**
 * The script of a worker thread where the program runs from its sources, as it does in tests: bundles
 * worker.node.ts, as cli/build.mjs does, and runs it.
 */
'use strict';

const Module = require('node:module');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { buildSync } = require('esbuild');

const FILE = join(__dirname, 'worker.node.ts');

const { outputFiles } = buildSync({
  entryPoints: [FILE],
  bundle: true,
  write: false,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  packages: 'external',
  define: { 'import.meta.url': JSON.stringify(pathToFileURL(FILE).href) },
  logLevel: 'silent',
});

const script = new Module(FILE, module);
script.paths = module.paths;
script._compile(outputFiles[0].text, FILE);
