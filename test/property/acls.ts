/** Random POSIX ACLs in the form of the kernel's extended attributes. */
import type { Random } from './random.ts';

const VERSION = 2;
const TAG = { userObject: 1, user: 2, groupObject: 4, group: 8, mask: 0x10, other: 0x20 };
const NO_ID = 0xffff_ffff;
const IDS = [0, 1, 2, 33, 1000, 12345, 60000];

interface Entry {
  readonly tag: number;
  readonly permissions: number;
  readonly id: number;
}

/** Value of `system.posix_acl_access` or `..._default`: with or without named entries and mask. */
export function randomAcl(random: Random): Buffer {
  const permissions = (): number => random.integer(0, 7);
  const named = (tag: number): Entry[] =>
    random.some(IDS, 0.2).map((id) => ({ tag, permissions: permissions(), id }));
  const users = named(TAG.user);
  const groups = named(TAG.group);
  const needsMask = users.length + groups.length > 0;
  const entries: Entry[] = [
    { tag: TAG.userObject, permissions: permissions(), id: NO_ID },
    ...users,
    { tag: TAG.groupObject, permissions: permissions(), id: NO_ID },
    ...groups,
  ];
  if (needsMask || random.chance(0.3)) {
    entries.push({ tag: TAG.mask, permissions: permissions(), id: NO_ID });
  }
  entries.push({ tag: TAG.other, permissions: permissions(), id: NO_ID });
  return encode(entries);
}

function encode(entries: readonly Entry[]): Buffer {
  const value = Buffer.alloc(4 + 8 * entries.length);
  value.writeUInt32LE(VERSION, 0);
  entries.forEach(({ tag, permissions, id }, i) => {
    value.writeUInt16LE(tag, 4 + 8 * i);
    value.writeUInt16LE(permissions, 6 + 8 * i);
    value.writeUInt32LE(id, 8 + 8 * i);
  });
  return value;
}
