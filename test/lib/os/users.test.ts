import { execFileSync } from 'node:child_process';
import test from 'ava';
import { groupId, groupName, userId, userName } from '../../../lib/os/users.node.ts';

test('names and numbers are those of the databases of the system', (t) => {
  const lines = (database: string) =>
    execFileSync('getent', [database])
      .toString()
      .trim()
      .split('\n')
      .slice(0, 20)
      .map((line) => line.split(':'));
  for (const [name, , id] of lines('passwd')) {
    t.is(userId(Buffer.from(name)), Number(id));
    t.is(Buffer.from(userName(Number(id)) ?? []).toString(), name);
  }
  for (const [name, , id] of lines('group')) {
    t.is(groupId(Buffer.from(name)), Number(id));
    t.is(Buffer.from(groupName(Number(id)) ?? []).toString(), name);
  }
});

test('who is not known has neither name nor number', (t) => {
  t.is(userName(0x7ffffff0), undefined);
  t.is(groupName(0x7ffffff0), undefined);
  for (const name of [Buffer.from('no such user'), Buffer.from([0xff]), Buffer.from('ro\0ot')]) {
    t.is(userId(name), undefined);
    t.is(groupId(name), undefined);
  }
});
