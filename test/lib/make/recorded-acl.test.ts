import test from 'ava';
import { recordedAccessAcl, recordedDefaultAcl } from '../../../lib/make/recorded-acl.ts';

const name = (text: string) => Buffer.from(text);
/** Numbers above 100 all become 0; those above 200 have a name. */
const record = (id: number) => ({
  id: id > 100 ? 0 : id,
  ...(id > 200 ? { name: name(`u${id}`) } : {}),
});
const owners = { user: record, group: record, inAcl: { user: record, group: record } };

test('an ACL that the mode expresses is not recorded', (t) => {
  const acl = { userObject: 7, groupObject: 5, other: 0, users: [], groups: [] };
  t.is(recordedAccessAcl(acl, owners), undefined);
});

test('the owning group is recorded exactly if there is a mask', (t) => {
  const acl = { userObject: 7, groupObject: 5, other: 0, users: [], groups: [] };
  t.deepEqual(recordedAccessAcl({ ...acl, mask: 1 }, owners), {
    users: [],
    groups: [],
    groupObject: 5,
  });
  const users = [{ id: 1, permissions: 4 }];
  t.deepEqual(recordedAccessAcl({ ...acl, users }, owners), { users, groups: [] });
});

test('entries are ordered by number, then without name, then by name, then by permissions', (t) => {
  const ids = [
    [250, 1],
    [150, 7],
    [150, 2],
    [20, 1],
    [3, 1],
    [220, 5],
    [220, 4],
  ];
  const groups = ids.map(([id, permissions]) => ({ id, permissions }));
  const acl = recordedDefaultAcl({ mask: 7, users: [], groups }, owners);
  t.is(acl.mask, 7);
  t.deepEqual(acl.groups, [
    { id: 0, permissions: 2 },
    { id: 0, permissions: 7 },
    { id: 0, name: name('u220'), permissions: 4 },
    { id: 0, name: name('u220'), permissions: 5 },
    { id: 0, name: name('u250'), permissions: 1 },
    { id: 3, permissions: 1 },
    { id: 20, permissions: 1 },
  ]);
});

test('entries that shifting makes equal are refused, because nobody could read them', (t) => {
  const groups = [150, 160].map((id) => ({ id, permissions: 4 }));
  const error = t.throws(() => recordedDefaultAcl({ mask: 7, users: [], groups }, owners));
  t.like(error, { code: 'UNSUPPORTED' });
});
