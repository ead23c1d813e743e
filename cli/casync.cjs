#!/usr/bin/env node
/**
 * The command `casync`: loads the bundle dist/casync.cjs and runs it. In a source checkout the
 * bundles are made on first use and again when a source is newer; a published package has no sources.
 */
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { DIST, PROGRAM, bundlesAreCurrent } = require('./bundles.cjs');

const DEBUG = Boolean(process.env.CASYNC_DEBUG);

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

/**
 * Code becomes fast code later than usual. Nearly all work is done by native code, and compiling ours
 * costs a run of a second a tenth of its time. For Node 20: other versions call the flag otherwise,
 * and say so on standard error.
 */
function compileLess() {
  if (!process.versions.v8.startsWith('11.3.')) return;
  require('node:v8').setFlagsFromString('--interrupt-budget=600000');
}

/** Name of the program for messages: as it was called, without the ending of this file. */
function programName() {
  return (process.argv[1] ?? 'casync').replace(/\.cjs$/, '');
}

/** Half of the start-up time is compiling; Node 22 and newer can remember the result themselves. */
function loadProgram() {
  const folder = path.join(DIST, 'compile-cache');
  const { enableCompileCache } = require('node:module');
  if (enableCompileCache === undefined) return require('./compile-cache.cjs').load(PROGRAM, folder);
  enableCompileCache(folder);
  return { exports: require(PROGRAM), keep() {} };
}

async function start() {
  if (DEBUG) process.setSourceMapsEnabled(true);
  // Programs that call casync take any text on standard error for a failure.
  else process.removeAllListeners('warning');
  try {
    if (!bundlesAreCurrent()) await (await import('./build.mjs')).build();
  } catch (error) {
    fail(`cannot build ${PROGRAM}`, error);
  }
  compileLess();
  let program;
  try {
    program = loadProgram();
  } catch (error) {
    fail(`cannot load ${PROGRAM}`, error);
  }
  const status = await program.exports.main(programName(), process.argv.slice(2));
  program.keep();
  process.exit(status);
}

start().catch((error) => fail('internal error', error));
