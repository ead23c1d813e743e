import test from 'ava';
import { sizeText } from '../../cli/size-text.ts';
import { parseBoolean, parseLogLevel, parseUidRange, parseUidShift } from '../../cli/values.ts';

test('booleans are words of either kind in any case', (t) => {
  for (const word of ['1', 'yes', 'Y', 'TRUE', 't', 'on']) t.true(parseBoolean(word), word);
  for (const word of ['0', 'no', 'N', 'False', 'f', 'OFF']) t.false(parseBoolean(word), word);
  for (const word of ['', '2', 'maybe', ' yes']) t.is(parseBoolean(word), undefined, word);
});

test('log levels are numbers or names', (t) => {
  t.is(parseLogLevel('emerg'), 0);
  t.is(parseLogLevel('3'), 3);
  t.is(parseLogLevel('warning'), 4);
  t.is(parseLogLevel('8'), undefined);
  t.is(parseLogLevel(''), undefined);
});

test('a shift is a number before it is a boolean', (t) => {
  t.deepEqual(parseUidShift('1'), { enabled: true, shift: 1 });
  t.deepEqual(parseUidShift('0x10'), { enabled: true, shift: 16 });
  t.deepEqual(parseUidShift('010'), { enabled: true, shift: 8 });
  t.deepEqual(parseUidShift('yes'), { enabled: true });
  t.deepEqual(parseUidShift('no'), { enabled: false, shift: 0 });
  t.is(parseUidShift('65535'), undefined);
  t.is(parseUidShift('4294967295'), undefined);
  t.is(parseUidShift('-1'), undefined);
});

test('a range of zero is the boolean no', (t) => {
  t.deepEqual(parseUidRange('4294967296'), { enabled: true, range: 4294967296 });
  t.deepEqual(parseUidRange('0'), { enabled: false });
  t.is(parseUidRange('4294967297'), undefined);
});

test('byte counts are cut after one decimal', (t) => {
  t.is(sizeText(0), '0B');
  t.is(sizeText(1023), '1023B');
  t.is(sizeText(1024), '1.0K');
  t.is(sizeText(299999), '292.9K');
  t.is(sizeText(40 * 1024 * 1024 - 1), '39.9M');
});
