/**
 * The value of the extended attributes `system.posix_acl_access` and `system.posix_acl_default`, the
 * form in which Linux stores POSIX ACLs. Used by the folder walk and by extraction.
 */
import { readU32, writeU32 } from '../../formats/bytes.ts';
import { FormatError } from '../../formats/errors.ts';

/** Permissions of one named user or group: read 4, write 2, execute 1. */
export interface PosixAclEntry {
  readonly id: number;
  readonly permissions: number;
}

/** A POSIX ACL. The three basic entries are present in every valid one. */
export interface PosixAcl {
  readonly userObject?: number;
  readonly groupObject?: number;
  readonly other?: number;
  /** Ceiling of everything but owner and others; required with named entries. */
  readonly mask?: number;
  readonly users: readonly PosixAclEntry[];
  readonly groups: readonly PosixAclEntry[];
}

/** Name of the attribute with the ACL of a file. */
export const ACCESS_ACL_XATTR = 'system.posix_acl_access';
/** Name of the attribute with the ACL that new entries of a directory get. */
export const DEFAULT_ACL_XATTR = 'system.posix_acl_default';

const HEADER_LENGTH = 4;
const ENTRY_LENGTH = 8;
const VERSION = 2;
const NO_ID = 0xffffffff;
const USER_OBJECT = 0x01;
const USER = 0x02;
const GROUP_OBJECT = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;

/** @throws FormatError if the bytes are not an ACL */
export function decodePosixAcl(bytes: Uint8Array): PosixAcl {
  if (bytes.length < HEADER_LENGTH || (bytes.length - HEADER_LENGTH) % ENTRY_LENGTH !== 0) {
    throw new FormatError('posix-acl', 'attribute', bytes.length, 'length must be 4 + 8 n bytes');
  }
  if (readU32(bytes, 0) !== VERSION) {
    throw new FormatError('posix-acl', 'header', 0, `version must be ${VERSION}`);
  }
  const users: PosixAclEntry[] = [];
  const groups: PosixAclEntry[] = [];
  const basic = new Map<number, number>();
  for (let offset = HEADER_LENGTH; offset < bytes.length; offset += ENTRY_LENGTH) {
    const word = readU32(bytes, offset);
    const [tag, permissions] = [word & 0xffff, word >>> 16];
    if (permissions > 7) throw new FormatError('posix-acl', 'entry', offset, 'permissions 0 to 7');
    const id = readU32(bytes, offset + 4);
    if (tag === USER) users.push({ id, permissions });
    else if (tag === GROUP) groups.push({ id, permissions });
    else if ([USER_OBJECT, GROUP_OBJECT, MASK, OTHER].includes(tag)) basic.set(tag, permissions);
    else throw new FormatError('posix-acl', 'entry', offset, `tag ${tag} is not known`);
  }
  return {
    users,
    groups,
    ...optional('userObject', basic.get(USER_OBJECT)),
    ...optional('groupObject', basic.get(GROUP_OBJECT)),
    ...optional('other', basic.get(OTHER)),
    ...optional('mask', basic.get(MASK)),
  };
}

/** The attribute value of an ACL, entries in the order the kernel asks for. */
export function encodePosixAcl(acl: PosixAcl): Uint8Array {
  const entries: (readonly [tag: number, permissions: number, id: number])[] = [];
  const add = (tag: number, permissions: number | undefined) => {
    if (permissions !== undefined) entries.push([tag, permissions, NO_ID]);
  };
  const addNamed = (tag: number, named: readonly PosixAclEntry[]) => {
    for (const { id, permissions } of named.toSorted((a, b) => a.id - b.id)) {
      entries.push([tag, permissions, id]);
    }
  };
  add(USER_OBJECT, acl.userObject);
  addNamed(USER, acl.users);
  add(GROUP_OBJECT, acl.groupObject);
  addNamed(GROUP, acl.groups);
  add(MASK, acl.mask);
  add(OTHER, acl.other);
  const bytes = new Uint8Array(HEADER_LENGTH + ENTRY_LENGTH * entries.length);
  writeU32(bytes, 0, VERSION);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    writeU32(bytes, HEADER_LENGTH + ENTRY_LENGTH * i, tag | (permissions << 16));
    writeU32(bytes, HEADER_LENGTH + ENTRY_LENGTH * i + 4, id);
  }
  return bytes;
}

function optional<Name extends string>(name: Name, value: number | undefined) {
  return (value === undefined ? {} : { [name]: value }) as { readonly [Key in Name]?: number };
}
