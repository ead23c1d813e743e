/** From options to what the library wants to know of trees: features, owners, what is left out. */
import { FEATURE, featureNames } from '../formats/feature-flags.ts';
import type { FeatureMask } from '../lib/api/features.ts';
import type { FolderOptions } from '../lib/api/options.ts';
import type { UidShift } from '../lib/make/owner-rules.ts';
import type { Context } from './context.ts';
import { EXIT_SOURCE_INCOMPLETE } from './exit-codes.ts';

/** What `--with=` and `--without=` say. */
export function featureMask({ options }: Context): FeatureMask {
  const { with: wanted, without } = options;
  return { withoutFeatures: without, ...(wanted === 0n ? {} : { features: wanted }) };
}

/** Shift and range of numeric owners, nothing while shifting is off. */
export function uidShiftOf({ options }: Context): { readonly uidShift?: UidShift } {
  const { enabled, shift, range } = options.uidShift;
  return enabled ? { uidShift: { shift, range } } : {};
}

/** How a folder is read, and what is told of it. */
export function folderOptions(context: Context): FolderOptions {
  const { excludeNodump, excludeSubmounts, excludeFile, digest } = context.options;
  return {
    ...featureMask(context),
    ...uidShiftOf(context),
    excludeNodump,
    excludeSubmounts,
    excludeFile,
    ...(digest === undefined ? {} : { digest }),
    onIncomplete: (label, reason) => {
      context.warn(`${label}: ${reason}`);
      context.setExitCode(EXIT_SOURCE_INCOMPLETE);
    },
    onUnavailable: (features) => context.warn(unavailableText(features)),
  };
}

/** What was selected and cannot be read here, because the optional package is missing. */
function unavailableText(features: bigint): string {
  const names = [...featureNames(features)];
  if ((features & FEATURE.excludeNodump) !== 0n) names.push('exclude-nodump');
  return `Left out, because the package koffi is not available: ${names.join(' ')}`;
}
