/** Which version a word means, and which ones rules keep. */
import test from 'ava';
import {
  chooseVersion,
  type DatedVersion,
  isAmbiguousTag,
  keptVersions,
} from '../../../../lib/images/chain/choose-version.ts';

const at = (text: string): number => new Date(text).getTime();
const VERSIONS: readonly DatedVersion[] = [
  { id: 'aaaa000000000001', time: at('2026-01-31T10:00:00') },
  { id: 'bbbb000000000002', time: at('2026-02-01T10:00:00') },
  { id: 'bbbb000000000003', time: at('2026-02-01T12:30:15') },
  { id: 'cccc000000000004', time: at('2026-03-05T00:00:00') },
];
const TAGS = new Map([['release', 'bbbb000000000002']]);

const choose = (word: string): string => chooseVersion(word, VERSIONS, TAGS).id.slice(-1);

test('a word is the newest, a number back, a further name, a date or the begin of an id', (t) => {
  const words = ['latest', '-0', '-1', '-3', 'release', 'aaaa', 'bbbb000000000003', '2026-02-01'];
  t.deepEqual(words.map(choose), ['4', '4', '3', '1', '2', '1', '3', '3']);
});

test('a date means its end, and the newest version that there was then', (t) => {
  const words = ['2026-02-01T10:00', '2026-02-01 09:59', '2026-02-01T12:30:14', '2026-12-31'];
  t.deepEqual(words.map(choose), ['2', '1', '2', '4']);
  t.is(choose(`@${at('2026-02-01T10:00:00') / 1000}`), '2');
});

test('a word that means none, or several, is refused', (t) => {
  for (const word of ['-4', '2026-01-30', '2026-02-30', 'dddd', 'nothing', '2026-01-01T25:00']) {
    t.throws(() => choose(word), { code: 'INDEX_MISSING' }, word);
  }
  t.throws(() => choose('bbbb'), { code: 'USAGE', message: /bbbb000000000002, bbbb000000000003/ });
  t.throws(() => chooseVersion('latest', [], TAGS), { message: /no version/ });
});

test('further names cannot be taken for anything else', (t) => {
  t.deepEqual(['latest', '-1', 'beef', '2026-01-01', 'before-update', 'v1'].map(isAmbiguousTag), [
    true,
    true,
    true,
    true,
    false,
    false,
  ]);
});

test('rules keep the newest version of each period', (t) => {
  const kept = (rules: Parameters<typeof keptVersions>[1]): string =>
    [...keptVersions(VERSIONS, rules)].map((id) => id.slice(-1)).join('');
  t.is(kept({ last: 2 }), '43');
  t.is(kept({ daily: 2 }), '43');
  t.is(kept({ daily: 9 }), '431');
  t.is(kept({ monthly: 3 }), '431');
  t.is(kept({ yearly: 1 }), '4');
  t.is(kept({ hourly: 3 }), '432');
  t.is(kept({ last: 1, monthly: 2 }), '43');
  t.is(kept({}), '');
});

test('weeks begin on Monday', (t) => {
  const days = ['2026-11-15', '2026-11-16', '2026-11-21'].map((day, i) => ({
    id: `${i}`,
    time: at(`${day}T12:00:00`),
  }));
  t.deepEqual([...keptVersions(days, { weekly: 2 })], ['2', '0']);
});
