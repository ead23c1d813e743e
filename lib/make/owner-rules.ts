/**
 * How users and groups are recorded: which number, which name (spec/formats/catar.md, "Owners").
 * Used by the folder walk for owners and for ACL entries.
 */
import { asciiBytes } from '../../formats/bytes.ts';
import { FEATURE } from '../../formats/feature-flags.ts';
import { PipelineError } from '../errors.ts';

/** Numbers are recorded as `(id - shift) mod range`. */
export interface UidShift {
  readonly shift: number;
  /** 1 to 2^32; 2^32 leaves numbers as they are after the shift. */
  readonly range: number;
}

/** A user or group as it goes into the archive. */
export interface RecordedOwner {
  /** 0 where numbers are not recorded. */
  readonly id: number;
  readonly name?: Uint8Array;
}

export interface OwnerRules {
  /** @throws PipelineError without subject if the number cannot be recorded */
  user(uid: number): RecordedOwner;
  /** @throws PipelineError without subject if the number cannot be recorded */
  group(gid: number): RecordedOwner;
  /** The same for users and groups in ACLs, whose numbers must be fit even if only names are recorded. */
  readonly inAcl: Omit<OwnerRules, 'inAcl'>;
}

/** The user database of this machine. */
export interface OwnerNames {
  user(uid: number): Uint8Array | undefined;
  group(gid: number): Uint8Array | undefined;
}

/** What decides how a file is recorded. */
export interface MetadataOptions {
  /** Normalised. */
  readonly featureFlags: bigint;
  readonly uidShift?: UidShift;
}

export interface OwnerOptions extends MetadataOptions {
  readonly names: OwnerNames;
}

const NOBODY: RecordedOwner = { id: 0 };
const INVALID_IDS: ReadonlySet<number> = new Set([0xffff, 0xffffffff]);
const LARGEST_16_BIT = 0xffff;

/** The rules for one archive; answers are remembered. */
export function createOwnerRules(options: OwnerOptions): OwnerRules {
  return { ...createRules(options, false), inAcl: createRules(options, true) };
}

function createRules(options: OwnerOptions, inAcl: boolean): Omit<OwnerRules, 'inAcl'> {
  const users = new Map<number, RecordedOwner>();
  const groups = new Map<number, RecordedOwner>();
  const { names } = options;
  return {
    user(uid) {
      return remembered(users, uid, () => {
        if (inAcl) shiftId('user', uid, options);
        return record('user', uid, options, names.user);
      });
    },
    group(gid) {
      return remembered(groups, gid, () => {
        if (inAcl) shiftId('group', gid, options);
        return record('group', gid, options, names.group);
      });
    },
  };
}

function remembered(
  known: Map<number, RecordedOwner>,
  id: number,
  make: () => RecordedOwner,
): RecordedOwner {
  const old = known.get(id);
  if (old !== undefined) return old;
  const owner = make();
  known.set(id, owner);
  return owner;
}

function record(
  kind: string,
  id: number,
  options: OwnerOptions,
  nameOf: (id: number) => Uint8Array | undefined,
): RecordedOwner {
  const { featureFlags } = options;
  const hasNumbers = (featureFlags & (FEATURE.uids16 | FEATURE.uids32)) !== 0n;
  const hasNames = (featureFlags & FEATURE.userNames) !== 0n;
  const owner = hasNumbers ? { id: shiftId(kind, id, options) } : NOBODY;
  if (!hasNames || id === 0) return owner;
  // Without numbers, the number of someone without a name takes the place of the name.
  const substitute = (): Uint8Array => asciiBytes(String(shiftId(kind, id, options)));
  const name = nameOf(id) ?? (hasNumbers ? undefined : substitute());
  return name === undefined ? owner : { ...owner, name };
}

function shiftId(kind: string, id: number, options: OwnerOptions): number {
  const { uidShift, featureFlags } = options;
  if (INVALID_IDS.has(id)) throw refuse(`${kind} id ${id} is not valid`);
  const { shift, range } = uidShift ?? { shift: 0, range: 2 ** 32 };
  if (id < shift) throw refuse(`${kind} id ${id} is below the shift ${shift}`);
  const shifted = (id - shift) % range;
  if (INVALID_IDS.has(shifted)) throw refuse(`${kind} id ${id} becomes ${shifted}, not valid`);
  if ((featureFlags & FEATURE.uids16) !== 0n && shifted > LARGEST_16_BIT) {
    throw refuse(`${kind} id ${shifted} does not fit 16 bits`);
  }
  return shifted;
}

function refuse(reason: string): PipelineError {
  return new PipelineError('UNSUPPORTED', { step: 'record owner', reason });
}
