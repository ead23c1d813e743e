/** A promise that is settled from outside. Used where events end what somebody waits for. */

export interface Deferred<Value> {
  readonly promise: Promise<Value>;
  /** The first call of the two counts. */
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

export function deferred<Value>(): Deferred<Value> {
  let resolve: (value: Value) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<Value>((fulfil, fail) => {
    resolve = fulfil;
    reject = fail;
  });
  return { promise, resolve, reject };
}
