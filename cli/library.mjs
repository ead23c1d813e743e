/**
 * What `import ... from 'casync'` loads: the bundle of lib/index.node.ts, which is built first where it
 * is missing or older than the sources (spec/api.md).
 */
import { createRequire } from 'node:module';
import bundles from './bundles.cjs';

if (!bundles.bundlesAreCurrent()) await (await import('./build.mjs')).build();

/** Everything but types that lib/index.node.ts exports. */
export const {
  CasError,
  isCasError,
  escapeBytes,
  featureNames,
  make,
  extract,
  list,
  manifest,
  stat,
  digest,
  diff,
  get,
  put,
  verify,
  clone,
  copy,
  gc,
  info,
  makeIndex,
  map,
  sync,
  repair,
  syncStore,
  syncTree,
  syncRemote,
  delta,
  patch,
  compose,
  exportImage,
  importImage,
  putVersion,
  getVersion,
  chains,
  versions,
  tagVersion,
  pruneVersions,
  diffImages,
  exportStore,
  serve,
  cat,
  openBlob,
  mount,
  mkdev,
  serveNbd,
} = createRequire(import.meta.url)(bundles.LIBRARY);
