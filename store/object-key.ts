/** The names of objects in backends, checked before they become paths. Used by every backend. */
import type { ObjectKey } from './backend.ts';

const KEY_PATTERN = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;

/** Whether the text can name an object. No such name leads outside of a store. */
export function isObjectKey(text: string): boolean {
  return KEY_PATTERN.test(text);
}

/** @throws TypeError if `key` is not a key: callers make keys, they do not take them over */
export function assertObjectKey(key: ObjectKey): void {
  if (!isObjectKey(key)) throw new TypeError(`not an object key: ${JSON.stringify(key)}`);
}

/** Last component of a temporary file's name beside an object (spec/formats/castr.md). */
export const TEMPORARY_NAME = /\.[0-9a-f]{1,16}\.tmp$/;
