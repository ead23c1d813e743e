/**
 * Flags outside of the mode: chattr(1), FAT attributes, project ids, read-only subvolumes. Some must
 * be set before content is written, the others forbid changes and come last. Used by tree.node.ts.
 */
import type { CatarNode } from '../../formats/catar-events.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import {
  fatAttributesOfFeatures,
  inodeFlagsOfFeatures,
  SUBVOLUME_FEATURE,
  SUBVOLUME_READ_ONLY_FEATURE,
} from '../os/inode-flag-bits.ts';
import {
  getFatAttributes,
  getInodeFlags,
  getProjectId,
  isSubvolumeReadOnly,
  setFatAttributes,
  setInodeFlags,
  setProjectId,
  setSubvolumeReadOnly,
} from '../os/inode-flags.node.ts';
import { notKept, withFeature } from './feature-failure.ts';
import type { ReplaySet } from './replay-set.ts';

/** Bits of entry flags that change how content is stored, or what children get. */
export const EARLY_FLAGS = Number(
  FEATURE.flagNoatime |
    FEATURE.flagCompr |
    FEATURE.flagNocow |
    FEATURE.flagNocomp |
    FEATURE.flagProjinherit,
);

/** An object and where it is. */
export interface Flagged {
  /** Open for reading or writing. */
  readonly fd: number;
  readonly node: Pick<CatarNode, 'type' | 'entryFlags' | 'quotaProjectId'>;
  /** It may have flags already: it existed, or its directory hands some on. */
  readonly mayHaveFlags: boolean;
  /** The file system has FAT attributes, and sets some by itself. */
  readonly onFat: boolean;
  /** Called before anything is changed. */
  readonly beforeChange?: () => void;
}

/** Right after the object was made. @throws PipelineError without subject */
export function restoreEarlyFlags(object: Flagged, replay: ReplaySet): void {
  restoreInodeFlags(object, replay.entryFlags & EARLY_FLAGS);
  if (replay.quotaProjectId && !mustKeepProject(object)) restoreProjectId(object);
}

/** A directory that hands on its project lets nothing of another project be renamed into place. */
function mustKeepProject({ node, mayHaveFlags }: Flagged): boolean {
  return mayHaveFlags && node.type !== 'directory';
}

/** When nothing of the object will change any more. @throws PipelineError without subject */
export function restoreLateFlags(object: Flagged, replay: ReplaySet): void {
  const { fd, node } = object;
  if (replay.quotaProjectId && mustKeepProject(object)) restoreProjectId(object);
  restoreFatAttributes(object, replay.entryFlags);
  restoreInodeFlags(object, replay.entryFlags & ~EARLY_FLAGS);
  if ((node.entryFlags & replay.entryFlags & SUBVOLUME_READ_ONLY_FEATURE) !== 0) {
    withFeature(FEATURE.subvolumeReadOnly, () => setSubvolumeReadOnly(fd, true));
  }
}

/** Whether the node is to be a subvolume of its own. */
export function wantsSubvolume(node: CatarNode, replay: ReplaySet): boolean {
  return (node.entryFlags & replay.entryFlags & SUBVOLUME_FEATURE) !== 0;
}

/** Makes an existing subvolume writable for the time of the extraction. @throws PipelineError */
export function unlockSubvolume(fd: number, replay: ReplaySet): void {
  if ((replay.entryFlags & SUBVOLUME_READ_ONLY_FEATURE) === 0 || !isSubvolumeReadOnly(fd)) return;
  withFeature(FEATURE.subvolumeReadOnly, () => setSubvolumeReadOnly(fd, false));
}

function restoreInodeFlags(object: Flagged, features: number): void {
  const { fd, node, mayHaveFlags, beforeChange } = object;
  const mask = inodeFlagsOfFeatures(features);
  const wantedFeatures = node.entryFlags & features;
  const wanted = inodeFlagsOfFeatures(wantedFeatures);
  if (mask === 0 || (wanted === 0 && !mayHaveFlags)) return;
  const old = getInodeFlags(fd);
  if (old === undefined && wanted === 0) return;
  if (old !== undefined && (old & mask) === wanted) return;
  const feature = BigInt(wantedFeatures === 0 ? features : wantedFeatures);
  beforeChange?.();
  withFeature(feature, () => setInodeFlags(fd, mask, wanted));
  const missing = wanted & ~(getInodeFlags(fd) ?? 0);
  if (missing !== 0) throw notKept(feature, 'set inode flags', 'all of the recorded flags');
}

function restoreFatAttributes({ fd, node, onFat }: Flagged, features: number): void {
  const mask = fatAttributesOfFeatures(features);
  const wanted = fatAttributesOfFeatures(node.entryFlags & features);
  if (mask === 0 || (wanted === 0 && !onFat)) return;
  if (wanted === 0 && getFatAttributes(fd) === undefined) return;
  const feature = FEATURE.flagHidden | FEATURE.flagSystem | FEATURE.flagArchive;
  withFeature(feature, () => setFatAttributes(fd, mask, wanted));
}

function restoreProjectId({ fd, node, mayHaveFlags, beforeChange }: Flagged): void {
  const wanted = node.quotaProjectId ?? 0;
  if (wanted === 0 && !mayHaveFlags) return;
  if ((getProjectId(fd) ?? 0) === wanted) return;
  beforeChange?.();
  withFeature(FEATURE.quotaProjectId, () => setProjectId(fd, wanted));
}
