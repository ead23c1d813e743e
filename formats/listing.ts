/** Lines of `list`, and what the text outputs share (spec/formats/text.md). */
import { escapeBytes } from './escape.ts';

const TYPE_LETTERS: ReadonlyMap<number, string> = new Map([
  [0o040000, 'd'],
  [0o100000, '-'],
  [0o120000, 'l'],
  [0o020000, 'c'],
  [0o060000, 'b'],
  [0o010000, 'p'],
  [0o140000, 's'],
]);
const TYPE_MASK = 0o170000;
const DIRECTORY = 0o040000;

/** A path as text outputs show it: escaped, `.` for the root. */
export function shownPath(path: Uint8Array): string {
  return path.length === 0 ? '.' : escapeBytes(path);
}

/** One of the three groups `rwx`; `special` replaces the last letter, in upper case without `x`. */
function permissionText(bits: number, special: string): string {
  const isExecutable = (bits & 1) !== 0;
  const last =
    special === '' ? (isExecutable ? 'x' : '-') : isExecutable ? special : special.toUpperCase();
  return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${last}`;
}

/** Type and permissions in ten characters, like ls. The sticky bit is shown on directories only. */
export function modeText(mode: number): string {
  const type = mode & TYPE_MASK;
  const isSticky = type === DIRECTORY && (mode & 0o1000) !== 0;
  return [
    TYPE_LETTERS.get(type) ?? '?',
    permissionText(mode >> 6, mode & 0o4000 ? 's' : ''),
    permissionText(mode >> 3, mode & 0o2000 ? 's' : ''),
    permissionText(mode, isSticky ? 't' : ''),
  ].join('');
}

/** A line of `list`, with its newline. */
export function listLine(path: Uint8Array, mode: number): string {
  return `${modeText(mode)} ${shownPath(path)}\n`;
}
