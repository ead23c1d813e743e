/** The grammar: no record may come before one it must follow. */
import test from 'ava';
import type { NodeType } from '../../formats/catar-events.ts';
import { mayFollow, recordPlaces } from '../../formats/catar-order.ts';
import type { CatarRecordName } from '../../formats/catar-records.ts';
import { ALL_FEATURES, FEATURE } from '../../formats/feature-flags.ts';

const EVERYTHING = recordPlaces(ALL_FEATURES);

/** The records that a node of this type may have, in order; `*` marks those that repeat. */
function sequence(type: NodeType): string {
  const words: string[] = [];
  for (const place of EVERYTHING.values()) {
    if (!place.on.has(type)) continue;
    words.push(mayFollow(place, place, type) ? `${place.name}*` : place.name);
  }
  return words.join(' ');
}

function follows(previous: CatarRecordName, next: CatarRecordName, type: NodeType): boolean {
  const [from, to] = [EVERYTHING.get(previous), EVERYTHING.get(next)];
  return from !== undefined && to !== undefined && mayFollow(from, to, type);
}

const OWNER = 'ENTRY USER GROUP';
const ACCESS = 'XATTR* ACL_USER* ACL_GROUP* ACL_GROUP_OBJ';

test('the sequence of every kind of node is that of the format', (t) => {
  const defaults = 'ACL_DEFAULT ACL_DEFAULT_USER* ACL_DEFAULT_GROUP*';
  t.is(
    sequence('directory'),
    `${OWNER} ${ACCESS} ${defaults} SELINUX QUOTA_PROJID FILENAME* GOODBYE`,
  );
  t.is(sequence('file'), `${OWNER} ${ACCESS} SELINUX FCAPS QUOTA_PROJID PAYLOAD`);
  t.is(sequence('symlink'), `${OWNER} SELINUX SYMLINK`);
  t.is(sequence('block-device'), `${OWNER} ${ACCESS} SELINUX DEVICE`);
  t.is(sequence('character-device'), sequence('block-device'));
  t.is(sequence('fifo'), `${OWNER} ${ACCESS} SELINUX`);
  t.is(sequence('socket'), sequence('fifo'));
});

test('records may be left out but not exchanged', (t) => {
  t.true(follows('ENTRY', 'PAYLOAD', 'file'));
  t.true(follows('USER', 'XATTR', 'file'));
  t.false(follows('XATTR', 'USER', 'file'));
  t.false(follows('GROUP', 'GROUP', 'file'));
  t.false(follows('GOODBYE', 'FILENAME', 'directory'));
  t.false(follows('FILENAME', 'XATTR', 'directory'));
});

test('records without their feature flag have no place', (t) => {
  t.deepEqual(
    [...recordPlaces(0n).keys()],
    ['ENTRY', 'PAYLOAD', 'SYMLINK', 'DEVICE', 'FILENAME', 'GOODBYE'],
  );
  t.true(recordPlaces(FEATURE.xattrs).has('XATTR'));
});
