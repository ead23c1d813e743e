/** What a packing job takes and gives; it is in lib/work/jobs. Plain data that threads can exchange. */
import { IDENTITY_LENGTH } from './file-identity.ts';
import type { MetadataOptions } from './owner-rules.ts';

/** Consecutive entries of one directory; none is excluded by its name. */
export interface PackRun {
  /** Descriptor of the directory; stays open until the job is done. */
  readonly directory: number;
  /** Of the directory, where submounts are left out. */
  readonly mountId: number | undefined;
  /** One character per byte, separated by NUL. */
  readonly names: string;
  /** For each name the type bits of its mode, shifted right by 12; 0 if unknown. */
  readonly types: Uint8Array;
}

/**
 * What becomes of the content of files: its bytes, or in their place the identity of the file
 * (file-identity.ts), unless it is empty.
 */
export type PackedContents = 'read' | 'refer';

export interface PackEntriesInput {
  readonly options: MetadataOptions;
  readonly contents: PackedContents;
  readonly runs: readonly PackRun[];
  /** Where the packed entries go, one behind the other. */
  readonly region: SharedArrayBuffer;
}

export interface PackEntriesOutput {
  /**
   * For each entry that was tried: bytes in the archive, lower and upper half of the hash of its name
   * (`PackedChildren`). No bytes: it is left to the caller. Shorter than there are entries if the
   * region is full; the first entry is always tried.
   */
  readonly table: Uint32Array;
  /** For each of them the bytes of content for which an identity stands; with `refer` only. */
  readonly referred?: Uint32Array;
}

/** Runs a packing job, somewhere. */
export type PackEntries = (input: PackEntriesInput) => Promise<PackEntriesOutput>;

/**
 * Bytes of an entry in the region.
 * @param length of the entry in the archive
 * @param referred how many of them an identity stands for
 */
export function packedLength(length: number, referred: number): number {
  return referred === 0 ? length : length - referred + IDENTITY_LENGTH;
}
