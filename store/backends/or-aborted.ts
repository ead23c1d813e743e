/** Waiting that ends with a signal, for work that goes on by itself. Used by SFTP and FTP. */

/** The result, or the signal's reason as soon as that fires. */
export function orAborted<T>(signal: AbortSignal | undefined, result: Promise<T>): Promise<T> {
  if (signal === undefined) return result;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const settle = (): void => signal.removeEventListener('abort', stop);
    result.then(resolve, reject).finally(settle);
  });
}
