/**
 * Shell patterns for one file name: fnmatch(3) with FNM_PERIOD in the C locale, byte by byte. Used
 * by the exclude rules. Implements spec/formats/excludes.md, "Patterns". A pattern is compiled once;
 * a match takes at most (name length)^2 steps, whatever the pattern.
 */
import { type Bracket, parseBracket } from './fnmatch-bracket.ts';

/** What stands for one byte of a name: that byte, any of a set, or any at all. */
type Unit = number | Bracket | 'any';

/** A compiled pattern. */
export interface NamePattern {
  /** Units and stars in order; no two stars are adjacent. Undefined if no name can match. */
  readonly tokens: readonly (Unit | 'star')[] | undefined;
  /** Bytes that a name has at least. */
  readonly minimumLength: number;
}

const NEVER: NamePattern = { tokens: undefined, minimumLength: 0 };

/** No file system has longer names. A pattern for them would only take time. */
const LONGEST_NAME = 4096;

const DOT = 0x2e;
const STAR = 0x2a;
const QUESTION_MARK = 0x3f;
const BACKSLASH = 0x5c;
const OPENING_BRACKET = 0x5b;

/** Reads a pattern. Every byte string is one; some match nothing. */
export function compilePattern(pattern: Uint8Array): NamePattern {
  const tokens: (Unit | 'star')[] = [];
  let minimumLength = 0;
  let offset = 0;
  while (offset < pattern.length) {
    if (pattern[offset] === STAR) {
      if (tokens.at(-1) !== 'star') tokens.push('star');
      offset++;
      continue;
    }
    const parsed = parseUnit(pattern, offset);
    if (parsed === undefined) return NEVER;
    tokens.push(parsed.unit);
    offset = parsed.next;
    minimumLength++;
    if (minimumLength > LONGEST_NAME) return NEVER;
  }
  return { tokens, minimumLength };
}

/** Undefined if nothing can match here. */
function parseUnit(
  pattern: Uint8Array,
  offset: number,
): { readonly unit: Unit; readonly next: number } | undefined {
  const byte = pattern[offset];
  if (byte === QUESTION_MARK) return { unit: 'any', next: offset + 1 };
  if (byte === BACKSLASH) {
    if (offset + 1 === pattern.length) return undefined;
    return { unit: pattern[offset + 1], next: offset + 2 };
  }
  if (byte !== OPENING_BRACKET) return { unit: byte, next: offset + 1 };
  const parsed = parseBracket(pattern, offset + 1);
  if (parsed === 'never') return undefined;
  if (parsed === 'unclosed') return { unit: byte, next: offset + 1 };
  return { unit: parsed.bracket, next: parsed.next };
}

/** True if the whole name matches. A leading dot is matched by a literal dot only. */
export function matchesName(pattern: NamePattern, name: Uint8Array): boolean {
  const { tokens, minimumLength } = pattern;
  if (tokens === undefined || name.length < minimumLength) return false;
  if (name[0] === DOT && tokens[0] !== DOT) return false;
  // Where the match goes on if it fails: behind the last star, one byte later than the time before.
  let resumeToken = -1;
  let resumeOffset = 0;
  let token = 0;
  let offset = 0;
  while (offset < name.length) {
    const expected = tokens[token];
    if (expected === 'star') {
      token++;
      resumeToken = token;
      resumeOffset = offset;
    } else if (expected !== undefined && holds(expected, name[offset])) {
      token++;
      offset++;
    } else {
      if (resumeToken < 0) return false;
      token = resumeToken;
      offset = ++resumeOffset;
    }
  }
  if (tokens[token] === 'star') token++;
  return token === tokens.length;
}

function holds(unit: Unit, byte: number): boolean {
  if (unit === 'any') return true;
  return typeof unit === 'number' ? unit === byte : unit.has(byte);
}
