/**
 * Failures to restore one feature of a node, told together with the option that leaves it out.
 * Used by tree extraction.
 */
import { isCasError } from '../../formats/errors.ts';
import { FEATURE_NAMES, parseFeature } from '../../formats/feature-flags.ts';
import { PipelineError } from '../errors.ts';

const PRIVILEGED = parseFeature('privileged') ?? 0n;

/**
 * Runs `action`; where permission or support is missing, the error names the option that helps.
 * @param feature bits of the feature, one or several.
 * @throws PipelineError without subject
 */
export function withFeature<T>(feature: bigint, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!isCasError(error)) throw error;
    if (error.code !== 'DENIED' && error.code !== 'UNSUPPORTED') throw error;
    const option =
      error.code === 'DENIED' && (feature & PRIVILEGED) !== 0n
        ? '--without=privileged'
        : withoutOptions(feature);
    throw new PipelineError(error.code, {
      ...(error.step === undefined ? {} : { step: error.step }),
      reason: `${error.reason} (${option} leaves this out)`,
      cause: error.cause ?? error,
    });
  }
}

/** The failure of a file system that takes a value and gives back another. */
export function notKept(feature: bigint, step: string, what: string): PipelineError {
  const option = withoutOptions(feature);
  const reason = `the file system cannot keep ${what} (${option} leaves this out)`;
  return new PipelineError('UNSUPPORTED', { step, reason });
}

function withoutOptions(feature: bigint): string {
  return FEATURE_NAMES.filter(([, bit]) => (bit & feature) !== 0n)
    .map(([name]) => `--without=${name}`)
    .join(' ');
}
