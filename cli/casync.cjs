#!/usr/bin/env node
/**
 * The command `casync`: loads the bundle dist/casync.cjs and runs it. In a source checkout the
 * bundles are made on first use and again when a source is newer; a published package has no sources.
 */
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.dirname(__dirname);
const BUNDLE = path.join(ROOT, 'dist', 'casync.cjs');
/** The script of its threads. */
const WORKER = path.join(ROOT, 'dist', 'worker.cjs');
const SOURCE_FOLDERS = ['cli', 'formats', 'lib', 'store'];
const DEBUG = Boolean(process.env.CASYNC_DEBUG);

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

function bundleIsCurrent() {
  const inCheckout = modifiedMs(path.join(ROOT, 'cli', 'main.ts')) !== undefined;
  if (!inCheckout) return true;
  const bundledMs = modifiedMs(WORKER) === undefined ? undefined : modifiedMs(BUNDLE);
  if (bundledMs === undefined || modifiedMs(path.join(ROOT, 'package.json')) > bundledMs)
    return false;
  return !SOURCE_FOLDERS.some((folder) => hasNewer(path.join(ROOT, folder), bundledMs));
}

function firstLine(error) {
  return String(error?.message ?? error)
    .split('\n')
    .filter(Boolean)
    .slice(0, 2)
    .join(' ');
}

function fail(what, error) {
  const detail = DEBUG ? `${error?.stack ?? error}` : firstLine(error);
  fs.writeSync(2, `casync: ${what}: ${detail}\n`);
  process.exit(1);
}

/** Name of the program for messages: as it was called, without the ending of this file. */
function programName() {
  return (process.argv[1] ?? 'casync').replace(/\.cjs$/, '');
}

async function start() {
  if (DEBUG) process.setSourceMapsEnabled(true);
  // Programs that call casync take any text on standard error for a failure.
  else process.removeAllListeners('warning');
  try {
    if (!bundleIsCurrent()) await (await import('./build.mjs')).build(BUNDLE);
  } catch (error) {
    fail(`cannot build ${BUNDLE}`, error);
  }
  let program;
  // Half of the start-up time is compiling; Node 22 and newer can remember the result.
  require('node:module').enableCompileCache?.(path.join(ROOT, 'dist', 'compile-cache'));
  try {
    program = require(BUNDLE);
  } catch (error) {
    fail(`cannot load ${BUNDLE}`, error);
  }
  process.exit(await program.main(programName(), process.argv.slice(2)));
}

start().catch((error) => fail('internal error', error));
