import test from 'ava';
import { asciiBytes } from '../../formats/bytes.ts';
import { listLine, modeText } from '../../formats/listing.ts';
import { archiveNodes } from '../helpers/archive-nodes.ts';
import { golden } from '../helpers/golden.ts';

test('an archive is listed as the original lists it', (t) => {
  const nodes = archiveNodes(golden('tree/default.catar'));
  const text = nodes.map(({ path, node }) => listLine(path, node.mode)).join('');
  t.is(text, new TextDecoder().decode(golden('tree/default.list')));
});

test('the root is a dot', (t) => {
  t.is(listLine(new Uint8Array(), 0o040755), 'drwxr-xr-x .\n');
});

test('a name cannot break its line', (t) => {
  t.is(listLine(asciiBytes('a\n\x1b[2Jb'), 0o100600), '-rw------- a\\012\\033[2Jb\n');
});

test('every type has its letter', (t) => {
  const types = [0o100000, 0o040000, 0o120000, 0o060000, 0o020000, 0o010000, 0o140000];
  t.is(types.map((type) => modeText(type)[0]).join(''), '-dlbcps');
});

test('special bits take the place of the execute bits', (t) => {
  t.is(modeText(0o104755), '-rwsr-xr-x');
  t.is(modeText(0o104655), '-rwSr-xr-x');
  t.is(modeText(0o102755), '-rwxr-sr-x');
  t.is(modeText(0o102745), '-rwxr-Sr-x');
  t.is(modeText(0o041777), 'drwxrwxrwt');
  t.is(modeText(0o041776), 'drwxrwxrwT');
});

test('the sticky bit is shown on directories only', (t) => {
  t.is(modeText(0o101777), '-rwxrwxrwx');
  t.is(modeText(0o101776), '-rwxrwxrw-');
});
