/** What every function of the library takes besides its subject, as the command line says it. */
import type { WorkOptions } from '../lib/api/work-options.ts';
import type { Context } from './context.ts';

/** Threads besides the main one; left out where `--jobs` does not say. */
export function threadOption({ options }: Context): Pick<WorkOptions, 'threadCount'> {
  return options.jobs === undefined ? {} : { threadCount: options.jobs - 1 };
}

export function workOptions(
  context: Context,
): Pick<WorkOptions, 'threadCount'> & Required<Pick<WorkOptions, 'signal' | 'onProgress'>> {
  const { signal, onProgress } = context;
  return { signal, onProgress, ...threadOption(context) };
}
