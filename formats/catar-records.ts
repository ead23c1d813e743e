/**
 * The records of an archive: their names, type numbers and the sizes a reader accepts
 * (spec/formats/catar.md, "Records" and "Reading"). For parser and serializer.
 */
import { readSize, readU32, readU64 } from './bytes.ts';
import type { DecodeLimits } from './decode-limits.ts';
import { GOODBYE_TAIL_MARKER, RECORD_HEADER_SIZE, RECORD_TYPES } from './record-types.ts';

export type CatarRecordName = Exclude<keyof typeof RECORD_TYPES, 'INDEX' | 'TABLE'>;

/** How a reader recognises a record and what it may cost. */
export interface RecordLayout {
  readonly name: CatarRecordName;
  /** Upper half of the type number; the lower half is the key of the table. */
  readonly typeHigh: number;
  /** Sizes in bytes, the header included. */
  readonly minSize: number;
  readonly maxSize: number;
}

/** Shortest name of an extended attribute: `a.b`. */
const MIN_XATTR_NAME_LENGTH = 3;
const ENTRY_SIZE = 64;
const GOODBYE_ITEM_SIZE = 24;
/** Distance to the folder's ENTRY, record size, marker. */
export const GOODBYE_TAIL_SIZE = 24;
const GOODBYE_MIN_SIZE = RECORD_HEADER_SIZE + GOODBYE_TAIL_SIZE;

const knownLayouts = new WeakMap<DecodeLimits, ReadonlyMap<number, RecordLayout>>();

/**
 * The layouts of all records under `limits`, by the lower 32 bits of the type number, which differ
 * in all of them.
 */
export function recordLayouts(limits: DecodeLimits): ReadonlyMap<number, RecordLayout> {
  const layouts = knownLayouts.get(limits) ?? resolveLayouts(limits);
  knownLayouts.set(limits, layouts);
  return layouts;
}

function resolveLayouts(limits: DecodeLimits): ReadonlyMap<number, RecordLayout> {
  const layouts = new Map<number, RecordLayout>();
  for (const [name, body] of Object.entries(bodySizes(limits))) {
    const type = RECORD_TYPES[name as CatarRecordName];
    layouts.set(Number(type & 0xffff_ffffn), {
      name: name as CatarRecordName,
      typeHigh: Number(type >> 32n),
      minSize: RECORD_HEADER_SIZE + body[0],
      maxSize: RECORD_HEADER_SIZE + body[1],
    });
  }
  return layouts;
}

/** The layout of the record whose header is at `start`; undefined for an unknown type. */
export function findLayout(
  layouts: ReadonlyMap<number, RecordLayout>,
  bytes: Uint8Array,
  start: number,
): RecordLayout | undefined {
  const layout = layouts.get(readU32(bytes, start + 8));
  return layout?.typeHigh === readU32(bytes, start + 12) ? layout : undefined;
}

/** What is wrong with the size of a record at this archive offset, if anything. */
export function sizeFault(
  { minSize, maxSize }: RecordLayout,
  offset: number,
  size: number,
): string | undefined {
  if (size < minSize || size > maxSize) {
    return `a record of ${minSize === maxSize ? minSize : `${minSize} to ${maxSize}`} bytes`;
  }
  return offset + size <= Number.MAX_SAFE_INTEGER ? undefined : 'an archive below 2^53 bytes';
}

/** True if `size` bytes can be a GOODBYE: items are complete. */
export function isGoodbyeSize(size: number): boolean {
  return (size - GOODBYE_MIN_SIZE) % GOODBYE_ITEM_SIZE === 0;
}

/** What is wrong with the last bytes of a GOODBYE, if anything. @param size of the whole record */
export function goodbyeTailFault(
  bytes: Uint8Array,
  start: number,
  entryDistance: number,
  size: number,
): string | undefined {
  if (readSize(bytes, start) !== entryDistance) return 'the distance to the ENTRY of the directory';
  if (readSize(bytes, start + 8) !== size) return 'the size of the record again at its end';
  return readU64(bytes, start + 16) === GOODBYE_TAIL_MARKER ? undefined : 'the end marker';
}

type SizeRange = readonly [min: number, max: number];

function bodySizes(limits: DecodeLimits): Readonly<Record<CatarRecordName, SizeRange>> {
  const owner = text(limits.maxOwnerNameLength);
  const target = text(limits.maxTargetLength);
  const aclEntry: SizeRange = [16, 16 + limits.maxOwnerNameLength + 1];
  const maxXattr = limits.maxXattrNameLength + 1 + limits.maxXattrValueLength;
  const maxItems = GOODBYE_ITEM_SIZE * limits.maxDirectoryEntries;
  return {
    ENTRY: exactly(ENTRY_SIZE - RECORD_HEADER_SIZE),
    USER: owner,
    GROUP: owner,
    XATTR: [MIN_XATTR_NAME_LENGTH + 1, maxXattr],
    ACL_USER: aclEntry,
    ACL_GROUP: aclEntry,
    ACL_GROUP_OBJ: exactly(8),
    ACL_DEFAULT: exactly(32),
    ACL_DEFAULT_USER: aclEntry,
    ACL_DEFAULT_GROUP: aclEntry,
    SELINUX: target,
    FCAPS: [0, limits.maxXattrValueLength],
    QUOTA_PROJID: exactly(8),
    PAYLOAD: [0, Number.MAX_SAFE_INTEGER - RECORD_HEADER_SIZE],
    SYMLINK: target,
    DEVICE: exactly(16),
    FILENAME: text(limits.maxNameLength),
    GOODBYE: [GOODBYE_TAIL_SIZE, GOODBYE_TAIL_SIZE + maxItems],
  };
}

function exactly(size: number): SizeRange {
  return [size, size];
}

/** A text that is not empty, with its NUL. */
function text(maxLength: number): SizeRange {
  return [2, maxLength + 1];
}
