/** The effective options of commands about images (spec/images.md), and their defaults. */
import type { BlockDigestName } from '../formats/block-digest.ts';
import type { DigestName } from '../formats/chunk-id.ts';

export type SizePolicy = 'exact' | 'resize' | 'larger-ok' | 'common';
export type SparsePolicy = 'auto' | 'always' | 'never';
export type FsyncPolicy = 'batch' | 'end' | 'none';
export type ChunkingChoice = 'auto' | 'fixed' | 'cdc';

/** How many versions `prune` keeps, by the rule that keeps them. */
export type KeepRule = 'last' | 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';

export interface ImageOptions {
  /** Where `-o` says the output goes. */
  out: string | undefined;
  /** Map of the destination: a path, or `auto` or `none`. */
  map: string;
  /** Bytes of a block; undefined for a size that fits the image. */
  blockSize: number | undefined;
  chunking: ChunkingChoice | undefined;
  /** What `--digest` says to those that make maps: they know more than chunks have. */
  mapDigest: BlockDigestName | undefined;
  /** Read the destination instead of believing its map. */
  check: boolean;
  sizePolicy: SizePolicy | undefined;
  sparse: SparsePolicy;
  discard: boolean;
  /** Bytes that are written between two checkpoints. */
  batch: number | undefined;
  /** What `--fsync` says; `end` if it stands alone. */
  fsync: FsyncPolicy | undefined;
  verify: 'none' | 'written' | 'full';
  undo: string | undefined;
  keep: string | undefined;
  snapshot: 'auto' | 'reflink' | 'none';
  ifSourceChanged: 'fail' | 'warn' | { readonly retries: number };
  onReadError: 'fail' | 'skip';
  jobs: number | undefined;
  /** On the wire: level of zstd, or none. */
  compress: number | 'none' | undefined;
  /** The program that takes the place of ssh, and casync on the other side. */
  ssh: string | undefined;
  remotePath: string | undefined;
  forceDevice: boolean;
  /** Do not keep what was read and written in the page cache. */
  noCache: boolean;
  base: string | undefined;
  format: string | undefined;
  reverse: boolean;
  repair: boolean;
  from: string[];
  name: string | undefined;
  at: string | undefined;
  keepRules: Partial<Record<KeepRule, number>>;
  backing: string | undefined;
  /** `serve`: speak on the standard streams. */
  stdio: boolean;
}

/** @param digest what the environment says */
export function defaultImageOptions(digest: DigestName | undefined): ImageOptions {
  return {
    out: undefined,
    map: 'auto',
    blockSize: undefined,
    chunking: undefined,
    mapDigest: digest,
    check: false,
    sizePolicy: undefined,
    sparse: 'auto',
    discard: false,
    batch: undefined,
    fsync: undefined,
    verify: 'none',
    undo: undefined,
    keep: undefined,
    snapshot: 'auto',
    ifSourceChanged: 'fail',
    onReadError: 'fail',
    jobs: undefined,
    compress: undefined,
    ssh: undefined,
    remotePath: undefined,
    forceDevice: false,
    noCache: false,
    base: undefined,
    format: undefined,
    reverse: false,
    repair: false,
    from: [],
    name: undefined,
    at: undefined,
    keepRules: {},
    backing: undefined,
    stdio: false,
  };
}

/** Whether commands that do not sync by themselves shall. */
export function isFsyncWanted({ fsync }: Pick<ImageOptions, 'fsync'>): boolean {
  return fsync === 'batch' || fsync === 'end';
}
