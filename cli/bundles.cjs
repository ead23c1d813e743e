/**
 * The bundles that everybody runs, and whether they are as new as the sources. Used by the launcher
 * (casync.cjs) and by the library (library.mjs). A published package has no sources.
 */
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.dirname(__dirname);
const DIST = path.join(ROOT, 'dist');
/** The command, and the library. */
const PROGRAM = path.join(DIST, 'casync.cjs');
const LIBRARY = path.join(DIST, 'library.cjs');
/** The script of their threads. */
const WORKER = path.join(DIST, 'worker.cjs');
const SOURCE_FOLDERS = ['cli', 'formats', 'lib', 'store'];

function modifiedMs(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}

/** Whether anything in the folder is newer; the folder's own time tells what was removed. */
function hasNewer(folder, thanMs) {
  if (modifiedMs(folder) > thanMs) return true;
  return fs.readdirSync(folder, { withFileTypes: true }).some((entry) => {
    const child = path.join(folder, entry.name);
    return entry.isDirectory() ? hasNewer(child, thanMs) : modifiedMs(child) > thanMs;
  });
}

/** False if the bundles have to be built before they are used. */
function bundlesAreCurrent() {
  const inCheckout = modifiedMs(path.join(ROOT, 'cli', 'main.ts')) !== undefined;
  if (!inCheckout) return true;
  const times = [PROGRAM, LIBRARY, WORKER].map(modifiedMs);
  if (times.includes(undefined)) return false;
  const bundledMs = Math.min(...times);
  if (modifiedMs(path.join(ROOT, 'package.json')) > bundledMs) return false;
  return !SOURCE_FOLDERS.some((folder) => hasNewer(path.join(ROOT, folder), bundledMs));
}

module.exports = { DIST, PROGRAM, LIBRARY, bundlesAreCurrent };
