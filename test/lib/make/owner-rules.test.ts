import test from 'ava';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { createOwnerRules, type UidShift } from '../../../lib/make/owner-rules.ts';

const BOTH = FEATURE.uids32 | FEATURE.userNames;
const names = {
  user: (uid: number) => (uid === 1 ? Buffer.from('daemon') : undefined),
  group: (gid: number) => (gid === 5 ? Buffer.from('games') : undefined),
};

function rules(featureFlags: bigint, uidShift?: UidShift) {
  return createOwnerRules({ featureFlags, names, ...(uidShift && { uidShift }) });
}

test('known owners have number and name, unknown ones only a number', (t) => {
  t.deepEqual(rules(BOTH).user(1), { id: 1, name: Buffer.from('daemon') });
  t.deepEqual(rules(BOTH).group(5), { id: 5, name: Buffer.from('games') });
  t.deepEqual(rules(BOTH).user(70000), { id: 70000 });
  t.deepEqual(rules(FEATURE.uids32).user(1), { id: 1 });
  t.deepEqual(rules(0n).user(65535), { id: 0 });
});

test('without numbers an unknown owner is named by its shifted number', (t) => {
  const named = rules(FEATURE.userNames, { shift: 1000, range: 65536 });
  t.deepEqual(named.user(70000), { id: 0, name: new Uint8Array(Buffer.from('3464')) });
  t.deepEqual(rules(FEATURE.userNames).user(1), { id: 0, name: Buffer.from('daemon') });
});

test('number 0 never has a name, judged before the shift', (t) => {
  t.deepEqual(rules(BOTH).user(0), { id: 0 });
  t.deepEqual(rules(FEATURE.userNames).user(0), { id: 0 });
  t.deepEqual(rules(BOTH, { shift: 1, range: 65536 }).user(1), {
    id: 0,
    name: Buffer.from('daemon'),
  });
});

test('numbers that cannot be recorded are refused', (t) => {
  const message = (step: () => unknown) => t.throws(step, { code: 'UNSUPPORTED' }).message;
  t.regex(
    message(() => rules(BOTH).user(65535)),
    /user id 65535 is not valid/,
  );
  t.regex(
    message(() => rules(BOTH).group(0xffffffff)),
    /group id 4294967295 is not valid/,
  );
  t.regex(
    message(() => rules(FEATURE.userNames).user(65535)),
    /not valid/,
  );
  t.regex(
    message(() => rules(BOTH, { shift: 2, range: 9 }).user(1)),
    /below the shift 2/,
  );
  t.regex(
    message(() => rules(FEATURE.uids16).user(65536)),
    /does not fit 16 bits/,
  );
  t.regex(
    message(() => rules(BOTH, { shift: 1, range: 2 ** 32 }).user(65536)),
    /becomes 65535/,
  );
});

test('without numbers a name saves a number that cannot be recorded, except in ACLs', (t) => {
  const names = { user: () => Buffer.from('someone'), group: () => undefined };
  const uidShift = { shift: 5000, range: 65536 };
  const rules = createOwnerRules({ featureFlags: FEATURE.userNames, uidShift, names });
  t.deepEqual(rules.user(1), { id: 0, name: Buffer.from('someone') });
  t.deepEqual(rules.user(0), { id: 0 });
  t.throws(() => rules.group(1), { message: /below the shift/ });
  t.throws(() => rules.inAcl.user(1), { message: /below the shift/ });
});
