/** Ranges and conditional requests. */
import test from 'ava';
import {
  isNotModified,
  isOtherVersion,
  wantedRange,
} from '../../../../lib/serve/http/conditions.ts';

const MODIFIED = new Date('2026-01-02T03:04:05.678Z');
const SAME_SECOND = 'Fri, 02 Jan 2026 03:04:05 GMT';
const THING = { etag: '"a"', modified: MODIFIED };
const SIZE = 100;

function reader(headers: Readonly<Record<string, string>>) {
  return (name: string): string | undefined => headers[name];
}

const all = undefined;
const RANGES: readonly (readonly [string, ReturnType<typeof wantedRange>])[] = [
  ['bytes=0-9', { offset: 0, length: 10 }],
  ['bytes=90-', { offset: 90, length: 10 }],
  ['bytes=90-1000', { offset: 90, length: 10 }],
  ['bytes=99-99', { offset: 99, length: 1 }],
  ['bytes=-10', { offset: 90, length: 10 }],
  ['bytes=-1000', { offset: 0, length: 100 }],
  ['BYTES=0-0', { offset: 0, length: 1 }],
  ['bytes=100-', 'unsatisfiable'],
  ['bytes=999999999999999-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=9-0', all],
  ['bytes=0-1,5-6', all],
  ['bytes=', all],
  ['bytes=-', all],
  ['bytes=a-b', all],
  ['bytes=0x1-5', all],
  ['bytes=-1-5', all],
  ['bytes=1e1-', all],
  ['bytes=99999999999999999999-', all],
  ['lines=0-1', all],
];

for (const [range, expected] of RANGES) {
  test(`range ${range}`, (t) => {
    t.deepEqual(wantedRange(reader({ range }), SIZE, THING), expected);
  });
}

for (const [condition, holds] of [
  ['"a"', true],
  ['"b"', false],
  ['W/"a"', false],
  [SAME_SECOND, true],
  ['Fri, 02 Jan 2026 03:04:06 GMT', false],
  ['nonsense', false],
] as const) {
  test(`a range with If-Range: ${condition} is ${holds ? 'given' : 'the whole'}`, (t) => {
    const headers = reader({ range: 'bytes=0-9', 'if-range': condition });
    t.deepEqual(wantedRange(headers, SIZE, THING), holds ? { offset: 0, length: 10 } : undefined);
  });
}

test('nothing of an empty file can be had as a range', (t) => {
  t.is(wantedRange(reader({ range: 'bytes=0-' }), 0, THING), 'unsatisfiable');
  t.is(wantedRange(reader({ range: 'bytes=-5' }), 0, THING), 'unsatisfiable');
});

for (const [headers, expected] of [
  [{ 'if-none-match': '"a"' }, true],
  [{ 'if-none-match': 'W/"a"' }, true],
  [{ 'if-none-match': '"b", "a"' }, true],
  [{ 'if-none-match': '*' }, true],
  [{ 'if-none-match': '"b"' }, false],
  [{ 'if-none-match': '"b"', 'if-modified-since': SAME_SECOND }, false],
  [{ 'if-modified-since': SAME_SECOND }, true],
  [{ 'if-modified-since': 'Fri, 02 Jan 2026 03:04:04 GMT' }, false],
  [{ 'if-modified-since': 'nonsense' }, false],
  [{}, false],
] as const) {
  test(`not modified: ${JSON.stringify(headers)} is ${expected}`, (t) => {
    t.is(isNotModified(reader(headers), THING), expected);
  });
}

test('a version that is asked for and not there is another one', (t) => {
  t.false(isOtherVersion(reader({}), '"a"'));
  t.false(isOtherVersion(reader({ 'if-match': '"b", "a"' }), '"a"'));
  t.true(isOtherVersion(reader({ 'if-match': '"b"' }), '"a"'));
  t.true(isOtherVersion(reader({ 'if-match': '*' }), undefined));
  t.false(isOtherVersion(reader({ 'if-match': '*' }), '"a"'));
});
