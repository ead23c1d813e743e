/**
 * What ties a map to its destination (spec/images.md, "Binding"): a file by a random attribute, its
 * inode and when it was made; a device by what tells it from all others.
 */
import { randomBytes } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { equalBytes } from '../../../formats/bytes.ts';
import { isCasError } from '../../../formats/errors.ts';
import { type MapBinding, TAG_LENGTH } from '../../../formats/map-state.ts';
import { getXattr, setXattr } from '../../os/xattr.node.ts';
import { deviceIdentity } from './device-facts.node.ts';
import type { OpenedDestination } from './opened-destination.ts';

const ATTRIBUTE = 'user.casync.map';
const MOST_BIRTH = 1n << 63n;

/** What the destination is, as far as it says so itself. */
export function bindingOf({ kind, path, descriptor }: OpenedDestination): MapBinding {
  if (descriptor === undefined) {
    return { kind, tag: undefined, inode: 0n, birthNs: 0n, identity: clipped(path) };
  }
  if (kind === 'device') {
    const identity = clipped(deviceIdentity(descriptor));
    return { kind, tag: undefined, inode: 0n, birthNs: 0n, identity };
  }
  const { ino, birthtimeNs } = fstatSync(descriptor, { bigint: true });
  const birthNs = birthtimeNs > 0n && birthtimeNs < MOST_BIRTH ? birthtimeNs : 0n;
  return { kind, tag: tagOf(descriptor), inode: ino, birthNs, identity: clipped(path) };
}

/** As {@link bindingOf}; a file without a tag gets one, where it can have one. */
export function tagged(destination: OpenedDestination): MapBinding {
  const binding = bindingOf(destination);
  if (binding.kind === 'device' || binding.tag !== undefined) return binding;
  if (destination.descriptor === undefined) return binding;
  const tag = new Uint8Array(randomBytes(TAG_LENGTH));
  try {
    setXattr(destination.descriptor, ATTRIBUTE, tag);
    return { ...binding, tag };
  } catch (error) {
    if (isCasError(error)) return binding;
    throw error;
  }
}

/**
 * How a destination fits a map: it is the one; it is a copy of it or was moved, so that its content has
 * to be read; or it is another one.
 */
export function fits(recorded: MapBinding, found: MapBinding): 'same' | 'moved' | 'other' {
  if (recorded.kind !== found.kind) return 'other';
  if (recorded.kind === 'device') return recorded.identity === found.identity ? 'same' : 'other';
  const isSameTag =
    recorded.tag === undefined || (found.tag !== undefined && equalBytes(recorded.tag, found.tag));
  if (!isSameTag) return 'other';
  if (recorded.inode === found.inode && recorded.birthNs === found.birthNs) return 'same';
  return recorded.tag === undefined ? 'other' : 'moved';
}

function tagOf(descriptor: number): Uint8Array | undefined {
  try {
    const tag = getXattr(descriptor, ATTRIBUTE);
    return tag?.length === TAG_LENGTH ? new Uint8Array(tag) : undefined;
  } catch (error) {
    if (isCasError(error)) return undefined;
    throw error;
  }
}

/** Long paths are for people only, and identities of devices are short. */
function clipped(text: string): string {
  let kept = text;
  while (Buffer.byteLength(kept) > 2000) kept = kept.slice(0, -1);
  return kept;
}
