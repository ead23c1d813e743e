/** How the library's functions read a folder as a tree (spec/api.md, "Folders"). */
import { ALL_FEATURES } from '../../formats/feature-flags.ts';
import { type PackTreeOptions, packTree } from '../make/pack-tree.node.ts';
import type { PackEntries } from '../make/packing.ts';
import { packEntries } from '../work/jobs/pack-entries.node.ts';
import type { EntrySink } from './entries.ts';
import { type RecordOptions, recordedFlags } from './features.ts';
import type { OpenedFile } from './input.node.ts';
import type { FolderOptions } from './options.ts';
import type { WorkOptions } from './work-options.ts';

/** The archive of a folder, by `ALL_FEATURES` unless options name others. */
export function folderFlags(options: RecordOptions): bigint {
  return recordedFlags(options, ALL_FEATURES);
}

interface FolderEvents {
  readonly onEntry?: EntrySink;
  readonly onFileSystem?: (type: number) => void;
}

/** What the walk of an open folder needs. */
export function walkOptions(
  folder: OpenedFile,
  options: FolderOptions & WorkOptions,
  { onEntry, onFileSystem }: FolderEvents = {},
): PackTreeOptions {
  const { uidShift, onIncomplete, onUnavailable, signal, excludeFile = true } = options;
  return {
    label: folder.label,
    featureFlags: folderFlags(options),
    applyExcludeFiles: excludeFile,
    ...(signal ? { signal } : {}),
    ...(uidShift ? { uidShift } : {}),
    ...(onIncomplete ? { onIncomplete } : {}),
    ...(onUnavailable ? { onUnavailable } : {}),
    ...(onFileSystem ? { onFileSystem } : {}),
    ...(onEntry ? { onEntry } : {}),
  };
}

const packHere: PackEntries = async (input) => packEntries(undefined, input);

/**
 * The archive of an open folder in pieces that are valid until the next is taken.
 * @param pack where the files are read; here, unless there are threads
 */
export function packFolder(
  folder: OpenedFile,
  options: FolderOptions & WorkOptions,
  events: FolderEvents,
  pack: PackEntries = packHere,
): AsyncIterable<Uint8Array> {
  return packTree(folder.descriptor, walkOptions(folder, options, events), pack);
}
