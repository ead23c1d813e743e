/** Feature flags as the library's functions take them (spec/api.md, "Features"). */
import type { DigestName } from '../../formats/chunk-id.ts';
import { ALL_FEATURES, maskFlags, parseFeature, selectFlags } from '../../formats/feature-flags.ts';
import { PipelineError } from '../errors.ts';

/** Features by their bits, or by the names that `--with` takes: features and groups of them. */
export type Features = bigint | readonly string[];

export interface FeatureMask {
  /** Of a folder: what is recorded. Of an archive: what is restored or shown. By default all. */
  readonly features?: Features;
  /** Taken away from `features`. */
  readonly withoutFeatures?: Features;
}

export interface RecordOptions extends FeatureMask {
  /** Leave out what has the chattr `d` flag; default true. */
  readonly excludeNodump?: boolean;
  /** Leave out other mounts below a folder; default false. */
  readonly excludeSubmounts?: boolean;
  /** Honour `.caexclude` files; default true. */
  readonly excludeFile?: boolean;
  /** Of raw input; archives and indexes carry their own. By default sha256. */
  readonly digest?: DigestName;
}

/** What raw input is named by unless options say otherwise. */
const DEFAULT_DIGEST: DigestName = 'sha256';

/** The digest of raw input. */
export function digestNameOf({ digest = DEFAULT_DIGEST }: RecordOptions): DigestName {
  return digest;
}

/** @throws PipelineError `USAGE` for a name that is unknown */
function bitsOf(features: Features): bigint {
  if (typeof features === 'bigint') return features;
  return features.reduce((bits, name) => {
    const bit = parseFeature(name);
    if (bit !== undefined) return bits | bit;
    throw new PipelineError('USAGE', { subject: name, reason: 'there is no such feature' });
  }, 0n);
}

function maskOf({ features, withoutFeatures = 0n }: FeatureMask, byDefault: bigint): bigint {
  return (features === undefined ? byDefault : bitsOf(features)) & ~bitsOf(withoutFeatures);
}

/** Feature flags of what is made. @param byDefault features that are meant where none are named */
export function recordedFlags(options: RecordOptions, byDefault: bigint): bigint {
  const { excludeNodump = true, excludeSubmounts = false, excludeFile = true } = options;
  return selectFlags({
    with: 0n,
    without: 0n,
    defaultWith: maskOf(options, byDefault),
    excludeNodump,
    excludeSubmounts,
    excludeFile,
    digest: digestNameOf(options),
  });
}

/** Feature flags to restore or show of an archive that carries `archiveFlags`. */
export function shownFlags(archiveFlags: bigint, mask: FeatureMask): bigint {
  return maskFlags(archiveFlags, maskOf(mask, ALL_FEATURES));
}
