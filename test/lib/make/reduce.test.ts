import test from 'ava';
import { nodeTypeOfMode } from '../../../formats/catar-fields.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import {
  isRecordedXattr,
  isTypeRecorded,
  modeReducer,
  timeReducer,
} from '../../../lib/make/reduce.ts';

const FILE = 0o100000;
const DIRECTORY = 0o040000;

test('modes are kept or become the usual ones', (t) => {
  for (const flags of [FEATURE.permissions, FEATURE.acl]) {
    t.is(modeReducer(flags)(FILE | 0o4751, 'file'), FILE | 0o4751);
    t.is(modeReducer(flags)(0o120700, 'symlink'), 0o120777);
  }
  t.is(modeReducer(0n)(FILE | 0o4751, 'file'), FILE | 0o666);
  t.is(modeReducer(0n)(DIRECTORY | 0o1700, 'directory'), DIRECTORY | 0o777);
  t.is(modeReducer(FEATURE.readOnly)(FILE | 0o557, 'file'), FILE | 0o666);
  t.is(modeReducer(FEATURE.readOnly)(FILE | 0o555, 'file'), FILE | 0o444);
  t.is(modeReducer(FEATURE.readOnly)(DIRECTORY | 0o555, 'directory'), DIRECTORY | 0o555);
});

test('times before 1970 wrap before they are cut', (t) => {
  const wrapped = 2n ** 64n - 1n;
  t.is(timeReducer(0n)(0, 123), 0n);
  t.is(timeReducer(FEATURE.timeNsec)(-1, 999_999_999), wrapped);
  t.is(timeReducer(FEATURE.timeUsec)(-1, 999_999_999), wrapped - (wrapped % 1000n));
  t.is(timeReducer(FEATURE.timeSec)(1, 999_999_999), 1_000_000_000n);
  t.is(timeReducer(FEATURE.time2Sec)(3, 999_999_999), 2_000_000_000n);
});

test('types depend on their features', (t) => {
  t.is(nodeTypeOfMode(0o140777), 'socket');
  t.is(nodeTypeOfMode(0o777), undefined);
  t.true(isTypeRecorded('file', 0n));
  t.true(isTypeRecorded('directory', 0n));
  t.false(isTypeRecorded('symlink', ~FEATURE.symlinks));
  t.true(isTypeRecorded('block-device', FEATURE.deviceNodes));
});

test('extended attributes of users and of the trusted are recorded', (t) => {
  const recorded = (name: string) => isRecordedXattr(Buffer.from(name));
  for (const name of ['user.a', 'trusted..', `user.${'x'.repeat(250)}`])
    t.true(recorded(name), name);
  const others = ['user.', 'user', 'users.a', 'security.capability', 'system.posix_acl_access', ''];
  for (const name of [...others, `user.${'x'.repeat(251)}`]) t.false(recorded(name), name);
});
