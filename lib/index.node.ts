/** The library: everything that `import ... from 'casync'` gives (spec/api.md). */
export type { CatarNode, NodeType } from '../formats/catar-events.ts';
export type { ChunkId, DigestName } from '../formats/chunk-id.ts';
export type { ChunkSizes } from '../formats/chunk-sizes.ts';
export { CasError, isCasError } from '../formats/errors.ts';
export { escapeBytes } from '../formats/escape.ts';
export { featureNames } from '../formats/feature-flags.ts';
export { type CatOptions, cat } from './api/cat.node.ts';
export { type CloneOptions, type CloneResult, clone } from './api/clone.node.ts';
export { type ComposeOptions, compose } from './api/compose.node.ts';
export {
  type CopiedIndex,
  type CopyOptions,
  type CopyResult,
  type CopyStatistics,
  copy,
} from './api/copy.node.ts';
export { type DeltaOptions, type DeltaResult, delta, type VersionName } from './api/delta.node.ts';
export { type DiffOptions, type DiffResult, diff } from './api/diff.node.ts';
export {
  type ComparedImage,
  type DiffImagesOptions,
  type DiffImagesResult,
  diffImages,
} from './api/diff-images.node.ts';
export { type DigestOptions, digest } from './api/digest.node.ts';
export type { EntryEvents, EntrySink } from './api/entries.ts';
export {
  type ExportFormat,
  type ExportOptions,
  type ExportResult,
  exportImage,
} from './api/export.node.ts';
export {
  type ExportStoreOptions,
  type ExportStoreResult,
  exportStore,
} from './api/export-store.node.ts';
export { type ExtractOptions, type ExtractResult, extract } from './api/extract.node.ts';
export type { FeatureMask, Features, RecordOptions } from './api/features.ts';
export { type GcEvent, type GcOptions, type GcResult, gc } from './api/gc.node.ts';
export { type GetOptions, type GetResult, get } from './api/get.node.ts';
export {
  type GetVersionOptions,
  type GetVersionResult,
  type GetVersionStatistics,
  getVersion,
} from './api/get-version.node.ts';
export {
  type ImportFormat,
  type ImportOptions,
  type ImportResult,
  importImage,
} from './api/import.node.ts';
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
export {
  type MakeIndexOptions,
  type MakeIndexResult,
  makeIndex,
} from './api/make-index.node.ts';
export { type ManifestEntry, type ManifestOptions, manifest } from './api/manifest.node.ts';
export { type MapOptions, type MapResult, map } from './api/map.node.ts';
export { type MkdevOptions, type MkdevResult, mkdev } from './api/mkdev.node.ts';
export { type MountOptions, type MountResult, mount } from './api/mount.node.ts';
export { type OpenBlobOptions, type OpenedBlob, openBlob } from './api/open-blob.node.ts';
export type {
  ComparedInput,
  FolderOptions,
  Input,
  InputOptions,
  ReadTreeOptions,
  SeedOptions,
  StoreOptions,
} from './api/options.ts';
export { type PatchOptions, type PatchResult, patch } from './api/patch.node.ts';
export { type PutOptions, type PutResult, put } from './api/put.node.ts';
export {
  type PutVersionOptions,
  type PutVersionResult,
  type PutVersionStatistics,
  putVersion,
} from './api/put-version.node.ts';
export { type RepairOptions, type RepairResult, repair } from './api/repair.node.ts';
export {
  type ServeLimits,
  type ServeOptions,
  type ServeResult,
  serve,
  type TlsFiles,
} from './api/serve.node.ts';
export {
  type NbdServerLimits,
  type ServeNbdOptions,
  type ServeNbdResult,
  serveNbd,
} from './api/serve-nbd.node.ts';
export { type StatOptions, type StatResult, stat } from './api/stat.node.ts';
export { type SyncOptions, type SyncResult, sync } from './api/sync.node.ts';
export {
  type PulledImage,
  type PushedImage,
  type SyncedRemoteImage,
  type SyncRemoteOptions,
  type SyncRemoteResult,
  syncRemote,
} from './api/sync-remote.node.ts';
export {
  type SyncStoreOptions,
  type SyncStoreResult,
  type SyncStoreStatistics,
  syncStore,
} from './api/sync-store.node.ts';
export { type SyncTreeOptions, type SyncTreeResult, syncTree } from './api/sync-tree.node.ts';
export { type VerifyOptions, type VerifyResult, verify } from './api/verify.node.ts';
export {
  chains,
  type PruneVersionsOptions,
  type PruneVersionsResult,
  pruneVersions,
  type TagVersionOptions,
  tagVersion,
  type VersionInfo,
  versions,
} from './api/versions.node.ts';
export type { TreeEntry } from './api/visit-tree.node.ts';
export type { WorkOptions } from './api/work-options.ts';
export type { ProgressEvent, ProgressSink } from './progress.ts';
export type { BlobBytes, BlobExtent, BlobRange, BlobReader } from './read/blob-reader.ts';
export type {
  CacheStatistics,
  CloneStatistics,
  ExtractStatistics,
  MakeStatistics,
} from './statistics.ts';
