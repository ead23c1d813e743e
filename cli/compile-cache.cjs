/**
 * Loads a bundle with the code that an earlier run has compiled, for versions of Node that cannot
 * remember it themselves: compiling is half of the time to start. Used by the launcher.
 */
'use strict';

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const vm = require('node:vm');

/** Names of what earlier bundles and other versions of Node have left. */
const CACHE_NAME = /^[0-9a-z.-]+\.code$/;

/** Another bundle, version of V8 or set of its flags has another name. */
function cacheFile(folder, bundle) {
  const { size, mtimeMs, ctimeMs } = fs.statSync(bundle);
  const version = `${process.version}-${process.arch}`;
  return path.join(folder, `${version}-${size}-${mtimeMs}-${ctimeMs}.code`);
}

function readCache(file) {
  try {
    return fs.readFileSync(file);
  } catch {
    return undefined;
  }
}

/**
 * @param bundle path of a CommonJS module
 * @param folder where compiled code is kept; made if it is missing and can be made
 * @returns its exports, and `keep`, to be called when it has done its work: keeps what was compiled
 */
function load(bundle, folder) {
  const file = cacheFile(folder, bundle);
  const cachedData = readCache(file);
  const script = new vm.Script(Module.wrap(fs.readFileSync(bundle, 'utf8')), {
    filename: bundle,
    cachedData,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const module = { exports: {} };
  const call = script.runInThisContext();
  call(module.exports, Module.createRequire(bundle), module, bundle, path.dirname(bundle));
  const isKept = cachedData !== undefined && !script.cachedDataRejected;
  return { exports: module.exports, keep: () => isKept || keep(script, file) };
}

/** Nothing is said where it cannot be kept: the next run compiles again. */
function keep(script, file) {
  const folder = path.dirname(file);
  const temporary = path.join(folder, `.#${path.basename(file)}${process.pid}`);
  try {
    fs.accessSync(path.dirname(folder), fs.constants.W_OK);
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(temporary, script.createCachedData());
    for (const name of fs.readdirSync(folder)) {
      if (CACHE_NAME.test(name)) fs.rmSync(path.join(folder, name), { force: true });
    }
    fs.renameSync(temporary, file);
  } catch {
    fs.rmSync(temporary, { force: true });
  }
}

module.exports = { load };
