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

/** From the mode of a file to type and permission bits as recorded. */
export type ModeReducer = (mode: number, type: NodeType) => number;

/** How modes are recorded. */
export function modeReducer(featureFlags: bigint): ModeReducer {
  if ((featureFlags & (FEATURE.permissions | FEATURE.acl)) !== 0n) {
    return (mode, type) => (type === 'symlink' ? linkMode(mode) : mode & (TYPE_BITS | 0o7777));
  }
  const recordsReadOnly = (featureFlags & FEATURE.readOnly) !== 0n;
  return (mode, type) => {
    if (type === 'symlink') return linkMode(mode);
    const all = type === 'directory' ? 0o777 : 0o666;
    const isReadOnly = recordsReadOnly && (mode & 0o222) === 0;
    return (mode & TYPE_BITS) | (isReadOnly ? all & ~0o222 : all);
  };
}

function linkMode(mode: number): number {
  return (mode & TYPE_BITS) | 0o777;
}

/** From seconds since 1970, negative before, and nanoseconds above them to what is recorded. */
export type TimeReducer = (seconds: number, nanoseconds: number) => bigint;

/** How modification times are recorded: wrapped to 64 unsigned bits, then cut to the granularity. */
export function timeReducer(featureFlags: bigint): TimeReducer {
  const granularity = timeGranularity(featureFlags);
  if (granularity === 0n) return () => 0n;
  if (granularity === 1n) return wrappedTime;
  return (seconds, nanoseconds) => {
    const wrapped = wrappedTime(seconds, nanoseconds);
    return wrapped - (wrapped % granularity);
  };
}

function wrappedTime(seconds: number, nanoseconds: number): bigint {
  return BigInt.asUintN(64, BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
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
