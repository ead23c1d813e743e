import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { ACCESS_ACL_XATTR, decodePosixAcl, encodePosixAcl } from '../../../lib/os/posix-acl.ts';
import { getXattr } from '../../../lib/os/xattr.node.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const permissions = fc.integer({ min: 0, max: 7 });
const named = fc
  .uniqueArray(fc.record({ id: fc.nat(70000), permissions }), { selector: (entry) => entry.id })
  .map((entries) => entries.toSorted((a, b) => a.id - b.id));
const acl = fc.record({
  userObject: permissions,
  groupObject: permissions,
  other: permissions,
  mask: permissions,
  users: named,
  groups: named,
});

test('what is encoded is decoded to the same', (t) => {
  fc.assert(fc.property(acl, (value) => t.deepEqual(decodePosixAcl(encodePosixAcl(value)), value)));
  t.pass();
});

test('the ACL that setfacl sets is decoded and encoded to the same bytes', (t) => {
  if (!requirement(t, { commands: ['setfacl'] })) return;
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, '', { mode: 0o640 });
  execFileSync('setfacl', ['-m', 'u:1:rwx,u:70000:x,g:5:r,m::rx', path]);
  const bytes = getXattr(Buffer.from(path), ACCESS_ACL_XATTR);
  if (bytes === undefined) return t.fail('no ACL');
  const decoded = decodePosixAcl(bytes);
  t.deepEqual(decoded, {
    userObject: 6,
    groupObject: 4,
    other: 0,
    mask: 5,
    users: [
      { id: 1, permissions: 7 },
      { id: 70000, permissions: 1 },
    ],
    groups: [{ id: 5, permissions: 4 }],
  });
  t.deepEqual(Buffer.from(encodePosixAcl(decoded)), bytes);
});

test('other bytes are refused', (t) => {
  const valid = encodePosixAcl({ userObject: 7, users: [], groups: [] });
  const broken = (offset: number, value: number) =>
    Uint8Array.from(valid).fill(value, offset, offset + 1);
  for (const bytes of [
    valid.subarray(0, 3),
    valid.subarray(0, 11),
    broken(0, 3),
    broken(4, 3),
    broken(6, 8),
  ]) {
    t.throws(() => decodePosixAcl(bytes), { code: 'FORMAT' });
  }
});
