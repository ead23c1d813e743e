/**
 * Leases as objects in a store: their names, what they say of their holders, which are stale, and how
 * those are taken away (spec/formats/leases.md). Used by lease.ts only.
 */
import { isCasError } from '../formats/errors.ts';
import type { ObjectBackend, ObjectKey } from './backend.ts';

/** Folder of the leases in a store; no folder of chunks has such a name. */
export const LEASE_FOLDER = 'leases';

/** Any number of shared leases, or one exclusive one. */
export type LeaseKind = 'shared' | 'exclusive';

/** Who holds a lease: what others need to know in order to wait for him, or to see that he is gone. */
export interface LeaseHolder {
  /** For messages. */
  readonly host: string;
  readonly processId: number;
  /** When the process began, in a form that only equality is asked of. */
  readonly processStart: string;
  /** The same for processes that can see each other, and no others; empty if that is not known. */
  readonly machine: string;
  /** The same for processes to which the same paths mean the same files. */
  readonly fileSystem: string;
  /** Absolute path of the index that is being made, if it has one. */
  readonly index?: string;
}

/** A lease as a listing shows it. */
export interface ListedLease {
  readonly id: string;
  readonly kind: LeaseKind;
  /** Last sign of life, by the clock of the storage, in milliseconds. */
  readonly modifiedMs: number;
  /** The younger of its objects. */
  readonly key: ObjectKey;
}

const KEY = new RegExp(`^${LEASE_FOLDER}/([0-9a-f]{16})\\.(shared|exclusive)(-beat)?$`);
/** Of the text in a lease; paths can be long. */
const MAX_TEXT_LENGTH = 65536;

/** The object that says that there is a lease. Written once: whoever removes it, ends the lease. */
export function claimKey(id: string, kind: LeaseKind): ObjectKey {
  return `${LEASE_FOLDER}/${id}.${kind}`;
}

/** The object that is written again and again, as a sign of life. */
export function beatKey(id: string, kind: LeaseKind): ObjectKey {
  return `${claimKey(id, kind)}-beat`;
}

/** All leases, each by the latest sign of life. A beat without its claim is a lease, too. */
export async function listLeases(backend: ObjectBackend): Promise<readonly ListedLease[]> {
  const leases = new Map<string, ListedLease>();
  for await (const { key, modified } of backend.list(`${LEASE_FOLDER}/`)) {
    const [, id, kind] = KEY.exec(key) ?? [];
    if (kind !== 'shared' && kind !== 'exclusive') continue;
    const modifiedMs = modified.getTime();
    const known = leases.get(id);
    if (known === undefined || known.modifiedMs <= modifiedMs) {
      leases.set(id, { id, kind, modifiedMs, key });
    }
  }
  return [...leases.values()];
}

/** The text of a lease. */
export function encodeHolder(holder: LeaseHolder): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(holder)}\n`);
}

/**
 * Who holds a lease: `gone` if it is not there any more, undefined if it does not say.
 * @throws StorageError
 */
export async function readHolder(
  backend: ObjectBackend,
  lease: ListedLease,
): Promise<LeaseHolder | 'gone' | undefined> {
  try {
    return decodeHolder(await backend.get(lease.key, { maxSize: MAX_TEXT_LENGTH }));
  } catch (error) {
    if (!isCasError(error)) throw error;
    if (error.code === 'OBJECT_MISSING') return 'gone';
    if (error.code === 'LIMIT_EXCEEDED') return undefined;
    throw error;
  }
}

function decodeHolder(bytes: Uint8Array): LeaseHolder | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  return isHolder(value) ? value : undefined;
}

function isHolder(value: unknown): value is LeaseHolder {
  if (typeof value !== 'object' || value === null) return false;
  const { host, processId, processStart, machine, fileSystem, index } = value as {
    readonly [field: string]: unknown;
  };
  const texts = [host, processStart, machine, fileSystem, index ?? ''];
  const isProcess = Number.isSafeInteger(processId) && Number(processId) > 0;
  return isProcess && texts.every((text) => typeof text === 'string');
}

/**
 * Ends a lease that seems to be stale. Whoever holds it and is alive after all notices before he
 * relies on it again: he gives a sign of life and then looks for his claim, in this order; here it is
 * the other way round.
 * @returns false if the holder has given a sign of life meanwhile: he may still rely on his lease
 */
export async function revoke(backend: ObjectBackend, lease: ListedLease): Promise<boolean> {
  const { id, kind, modifiedMs } = lease;
  await backend.remove(claimKey(id, kind));
  const beat = await backend.stat(beatKey(id, kind));
  if (beat === undefined) return true;
  if (beat.modified.getTime() > modifiedMs) return false;
  await backend.remove(beatKey(id, kind));
  return true;
}
