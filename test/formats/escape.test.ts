import test from 'ava';
import fc from 'fast-check';
import { equalBytes } from '../../formats/bytes.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { vectors } from '../helpers/golden.ts';

test('bytes are escaped as the original escapes them', (t) => {
  const { cases } = vectors<{
    readonly cases: readonly { readonly bytesHex: string; readonly text: string }[];
  }>('escape');
  for (const { bytesHex, text } of cases) {
    t.is(escapeBytes(Buffer.from(bytesHex, 'hex')), text, bytesHex);
  }
});

test('escaped text consists of visible ASCII characters other than the number sign', (t) => {
  const law = fc.property(fc.uint8Array(), (bytes) => /^[!"$-~]*$/.test(escapeBytes(bytes)));
  t.notThrows(() => fc.assert(law));
});

test('escaping can be undone', (t) => {
  const undo = (text: string) =>
    Buffer.from(
      text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
      'latin1',
    );
  const law = fc.property(fc.uint8Array(), (bytes) => equalBytes(undo(escapeBytes(bytes)), bytes));
  t.notThrows(() => fc.assert(law));
});
