/** The library: everything that `import ... from 'casync'` gives (spec/api.md). */
export type { CatarNode, NodeType } from '../formats/catar-events.ts';
export type { ChunkId, DigestName } from '../formats/chunk-id.ts';
export type { ChunkSizes } from '../formats/chunk-sizes.ts';
export { CasError, isCasError } from '../formats/errors.ts';
export { escapeBytes } from '../formats/escape.ts';
export { featureNames } from '../formats/feature-flags.ts';
export { type CloneOptions, type CloneResult, clone } from './api/clone.node.ts';
export {
  type CopiedIndex,
  type CopyOptions,
  type CopyResult,
  type CopyStatistics,
  copy,
} from './api/copy.node.ts';
export { type DiffOptions, type DiffResult, diff } from './api/diff.node.ts';
export { type DigestOptions, digest } from './api/digest.node.ts';
export type { EntryEvents, EntrySink } from './api/entries.ts';
export { type ExtractOptions, type ExtractResult, extract } from './api/extract.node.ts';
export type { FeatureMask, Features, RecordOptions } from './api/features.ts';
export { type GcEvent, type GcOptions, type GcResult, gc } from './api/gc.node.ts';
export { type GetOptions, type GetResult, get } from './api/get.node.ts';
export {
  type ArchiveInfo,
  type IndexInfo,
  type InfoOptions,
  type InfoResult,
  info,
  type StoreInfo,
} from './api/info.node.ts';
export type { InputKind, MadeKind, TreeKind } from './api/kinds.ts';
export { type ListOptions, list } from './api/list.node.ts';
export { type MakeOptions, type MakeResult, make } from './api/make.node.ts';
export { type ManifestEntry, type ManifestOptions, manifest } from './api/manifest.node.ts';
export type {
  ComparedInput,
  FolderOptions,
  Input,
  InputOptions,
  ReadTreeOptions,
  SeedOptions,
  StoreOptions,
} from './api/options.ts';
export { type PutOptions, type PutResult, put } from './api/put.node.ts';
export {
  type ServeLimits,
  type ServeOptions,
  type ServeResult,
  serve,
  type TlsFiles,
} from './api/serve.node.ts';
export { type StatOptions, type StatResult, stat } from './api/stat.node.ts';
export { type VerifyOptions, type VerifyResult, verify } from './api/verify.node.ts';
export type { TreeEntry } from './api/visit-tree.node.ts';
export type { WorkOptions } from './api/work-options.ts';
export type { ProgressEvent, ProgressSink } from './progress.ts';
export type {
  CacheStatistics,
  CloneStatistics,
  ExtractStatistics,
  MakeStatistics,
} from './statistics.ts';
