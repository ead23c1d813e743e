/** Random file names: plain ones, ones that need escaping, ones that are no text at all. */
import type { Random } from './random.ts';

const STEMS = [
  'a',
  'b',
  'file',
  'file1',
  'file.txt',
  'file-',
  'File',
  'dir',
  'x y',
  '.hidden',
  '~',
];
const ODD = [
  '\u00fcml\u00e4ut',
  '\u65e5\u672c',
  'new\nline',
  'tab\t',
  'back\\slash',
  'hash#',
  ' ',
  '*',
  '-n',
];

/** One name: no slash, no NUL, neither `.` nor `..` nor `.caexclude`. */
export function randomName(random: Random, maxLength: number): Buffer {
  const kind = random.integer(0, 9);
  if (kind < 5) return Buffer.from(`${random.pick(STEMS)}${random.integer(0, 30)}`);
  if (kind < 6) return Buffer.from(random.pick(STEMS));
  if (kind < 8) return Buffer.from(`${random.pick(ODD)}${random.integer(0, 9)}`);
  const length = random.chance(0.1) ? maxLength : random.integer(1, 12);
  const bytes = random.bytes(length).map((byte) => (byte === 0 || byte === 0x2f ? 0xff : byte));
  return bytes.every((byte) => byte === 0x2e) ? Buffer.from('dots') : Buffer.from(bytes);
}
