/**
 * What the options of the library's functions have in common, as types: where they read, which stores
 * they use, how they read folders and trees (spec/api.md).
 */
import type { LocationSettings } from '../../store/location-settings.ts';
import type { CodecName } from '../../store/transforms.ts';
import type { ChunkerName } from '../chunking/scanner.ts';
import type { UidShift } from '../make/owner-rules.ts';
import type { EntryEvents, EntrySink } from './entries.ts';
import type { RecordOptions } from './features.ts';
import type { InputKind, TreeKind } from './kinds.ts';
import type { WorkOptions } from './work-options.ts';

/**
 * A path, URL or ssh locator; a descriptor, which stays open; or the bytes themselves of a blob, archive or index, which
 * must not change meanwhile.
 */
export type Input = string | number | Uint8Array | AsyncIterable<Uint8Array>;

/** What is needed to reach places that are not on this machine. */
export interface PlaceOptions {
  /** What is known of a place besides its locator; by default what the environment says. */
  readonly settingsFor?: (locator: string) => LocationSettings;
}

export interface InputOptions extends WorkOptions, PlaceOptions {
  readonly input: Input;
  /** Name of the input in messages; by default its path. */
  readonly label?: string;
}

export interface StoreOptions extends PlaceOptions {
  /** The store to write to and to read from; by default `default.castr` beside the index. */
  readonly store?: string;
  /** Further stores to read from, in order, after the first one. */
  readonly extraStores?: readonly string[];
  /** Path of a store that is asked first, and gets all chunks that come from other machines. */
  readonly cacheStore?: string;
  /** Of new chunks; default zstd. */
  readonly compression?: CodecName;
  /**
   * `group`, the default: new chunks are on disk before the index appears. `none`: never waited for,
   * for scratch and comparison.
   */
  readonly sync?: 'group' | 'none';
  /** Of compressed chunks; default `.cacnk`. */
  readonly suffix?: string;
}

export interface FolderOptions extends RecordOptions {
  /** Numeric owners are recorded, or shown and restored, with this shift. */
  readonly uidShift?: UidShift;
  /** Told of everything that changed while it was read or vanished; the work goes on. */
  readonly onIncomplete?: (label: string, reason: string) => void;
  /** Told which selected features cannot be read, because the optional package koffi is missing. */
  readonly onUnavailable?: (features: bigint) => void;
}

/** Data on this machine that may hold the chunks of an index: it is asked before the stores. */
export interface SeedOptions {
  /** Paths of files, devices or folders, asked in this order. */
  readonly seeds?: readonly string[];
  /** How seeds are cut, which an index does not say; default buzhash. */
  readonly chunker?: ChunkerName;
  /** Told of a seed that cannot be used; the work goes on without it. */
  readonly onSeedFailure?: (seed: string, error: unknown) => void;
  /** Told of each entry of a seed that is a folder. Costs time: nothing is then read ahead. */
  readonly onSeedEntry?: EntrySink;
}

/** What every function that reads a tree takes. */
export interface ReadTreeOptions
  extends InputOptions,
    StoreOptions,
    SeedOptions,
    FolderOptions,
    Pick<EntryEvents, 'onFeatures'> {
  /** By default what the input is, or what the suffix of its path says. */
  readonly kind?: TreeKind;
}

/** Something to compare. Stores are those of an index. */
export interface ComparedInput extends StoreOptions {
  readonly input: Input;
  /** Name of the input in messages; by default its path. */
  readonly label?: string;
  /** By default what the suffix of the path says; else a folder, or a blob. */
  readonly kind?: InputKind;
}
