/** How often a place is tried again, as its settings say. */
import type { LocationSettings } from '../location-settings.ts';
import { SYSTEM_CLOCK } from './clock.ts';
import type { RetryOptions } from './retry.ts';

export function retryOptions({ attemptCount, onRetry }: LocationSettings): RetryOptions {
  return {
    clock: SYSTEM_CLOCK,
    random: Math.random,
    ...(attemptCount === undefined ? {} : { attemptCount }),
    ...(onRetry === undefined ? {} : { onRetry }),
  };
}
