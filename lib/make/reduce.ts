/**
 * Reduction of attributes to what the feature flags carry (spec/formats/catar.md, "ENTRY"). Pure;
 * used by the folder walk.
 */
import type { NodeType } from '../../formats/catar-events.ts';
import { FEATURE, timeGranularity } from '../../formats/feature-flags.ts';

const TYPE_BITS = 0o170000;
/** Whether nodes of a type go into an archive with these feature flags. */
export function isTypeRecorded(type: NodeType, featureFlags: bigint): boolean {
  const feature = TYPE_FEATURES[type];
  return feature === undefined || (featureFlags & feature) !== 0n;
}

const TYPE_FEATURES: { readonly [Type in NodeType]?: bigint } = {
  symlink: FEATURE.symlinks,
  'character-device': FEATURE.deviceNodes,
  'block-device': FEATURE.deviceNodes,
  fifo: FEATURE.fifos,
  socket: FEATURE.sockets,
};

/** Type and permission bits as recorded. */
export function reduceMode(mode: number, type: NodeType, featureFlags: bigint): number {
  const typeBits = mode & TYPE_BITS;
  if (type === 'symlink') return typeBits | 0o777;
  if ((featureFlags & (FEATURE.permissions | FEATURE.acl)) !== 0n)
    return mode & (TYPE_BITS | 0o7777);
  const all = type === 'directory' ? 0o777 : 0o666;
  const isReadOnly = (featureFlags & FEATURE.readOnly) !== 0n && (mode & 0o222) === 0;
  return typeBits | (isReadOnly ? all & ~0o222 : all);
}

/**
 * How modification times are recorded: wrapped to 64 unsigned bits, then cut to the granularity.
 * @returns a function from nanoseconds since 1970, negative before.
 */
export function timeReducer(featureFlags: bigint): (mtimeNs: bigint) => bigint {
  const granularity = timeGranularity(featureFlags);
  if (granularity === 0n) return () => 0n;
  if (granularity === 1n) return (mtimeNs) => BigInt.asUintN(64, mtimeNs);
  return (mtimeNs) => {
    const wrapped = BigInt.asUintN(64, mtimeNs);
    return wrapped - (wrapped % granularity);
  };
}

const USER_PREFIX = asciiCodes('user.');
const TRUSTED_PREFIX = asciiCodes('trusted.');
const LONGEST_NAME = 255;

/** Whether an extended attribute is recorded as such: `user.` or `trusted.` and a name. */
export function isRecordedXattr(name: Uint8Array): boolean {
  if (name.length > LONGEST_NAME) return false;
  return hasPrefix(name, USER_PREFIX) || hasPrefix(name, TRUSTED_PREFIX);
}

function hasPrefix(name: Uint8Array, prefix: readonly number[]): boolean {
  return name.length > prefix.length && prefix.every((code, i) => name[i] === code);
}

function asciiCodes(text: string): readonly number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}
