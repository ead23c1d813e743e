/**
 * A promise that may fail before anybody waits for it, or without anybody ever doing so: its failure
 * is not a mistake of the program. Used where jobs are begun ahead.
 */
export function unattended<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
