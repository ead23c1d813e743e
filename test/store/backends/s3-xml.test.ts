import test from 'ava';
import fc from 'fast-check';
import { visitXml, type XmlVisitor } from '../../../store/backends/s3-xml.ts';

function seen(text: string): readonly string[] {
  const lines: string[] = [];
  const visitor: XmlVisitor = {
    leaf: (parent, name, value) => lines.push(`${parent}/${name}=${value}`),
    end: (name) => lines.push(`/${name}`),
  };
  visitXml(text, visitor);
  return lines;
}

test('tells elements in the order in which they end, with their texts', (t) => {
  const text = `<?xml version="1.0"?>\n<!-- <no/> --><a x="1" y='>'>
    <b>one</b><c/><d><ns:e>two</ns:e></d><f><![CDATA[<three> & ]]>&lt;&#52;&#x1F600;&amp;</f></a>\n`;
  const leaves = ['a/b=one', 'a/c=', 'd/e=two', '/d', 'a/f=<three> & <4\u{1F600}&', '/a'];
  t.deepEqual(seen(text), leaves);
});

test('refuses what is not well-formed, or more than elements', (t) => {
  const broken = [
    '',
    ' ',
    'text',
    '<a>',
    '<a></b>',
    '</a>',
    '<a/><b/>',
    '<a/>text',
    '<a',
    '<a b></a>',
  ];
  const forbidden = [
    '<!DOCTYPE a><a/>',
    '<a>&unknown;</a>',
    '<a>&</a>',
    '<a>&#0;</a>',
    '<a>&#x110000;</a>',
  ];
  const unended = [
    '<!-- <a/>',
    '<a><![CDATA[x</a>',
    '<a b="<"/>',
    `${'<a>'.repeat(17)}${'</a>'.repeat(17)}`,
  ];
  for (const text of [...broken, ...forbidden, ...unended]) {
    t.throws(() => seen(text), { code: 'FORMAT' }, text);
  }
});

test('any text comes back from its escaped form', (t) => {
  const escaped = (text: string): string =>
    text.replace(/[&<>]/g, (mark) => `&#x${mark.charCodeAt(0).toString(16)};`);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      t.deepEqual(seen(`<a>${escaped(text)}</a>`), [`/a=${text}`]);
    }),
  );
});

test('whatever the bytes, ends soon with a value or an error of ours', (t) => {
  const words = [
    '<a>',
    '</a>',
    '<',
    '>',
    '/',
    '&',
    ';',
    '"',
    '=',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    'x',
    ' ',
    '<?',
    '&lt;',
  ];
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 40 }), (parts) => {
      try {
        seen(parts.join(''));
      } catch (error) {
        t.is((error as { code?: string }).code, 'FORMAT', parts.join(''));
      }
      return true;
    }),
  );
  t.throws(() => seen(`<a ${'b="1" '.repeat(100_000)}`), { code: 'FORMAT' });
});
