/**
 * Bracket expressions of shell patterns, such as `[!a-z[:digit:]]`, in the C locale. Part of
 * fnmatch.ts. Implements spec/formats/excludes.md, "Patterns", including what the C library makes
 * of malformed ones.
 */

/** The bytes that a bracket expression stands for. */
export type Bracket = ReadonlySet<number>;

/**
 * A bracket expression and the offset behind it; `unclosed` if it has no end, so that its opening
 * bracket is an ordinary byte; `never` if a malformed part keeps every name from matching.
 */
export type ParsedBracket =
  | { readonly bracket: Bracket; readonly next: number }
  | 'unclosed'
  | 'never';

/** One part of a bracket expression: a byte, range or class. */
interface Part {
  readonly has: (byte: number) => boolean;
  /** Offset behind the part. */
  readonly next: number;
  /** Malformed: bytes that an earlier part holds, or no part so far holds, match nothing at all. */
  readonly spoils?: 'held' | 'not held';
}

/** What is known about a byte after some parts. */
const NOT_HELD = 0;
const HELD = 1;
const SPOILT = 2;

const EXCLAMATION_MARK = 0x21;
const HYPHEN = 0x2d;
const DOT = 0x2e;
const COLON = 0x3a;
const EQUALS = 0x3d;
const OPENING = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING = 0x5d;
const CIRCUMFLEX = 0x5e;

const isLower = (byte: number) => byte >= 0x61 && byte <= 0x7a;
const isUpper = (byte: number) => byte >= 0x41 && byte <= 0x5a;
const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
const isAlpha = (byte: number) => isLower(byte) || isUpper(byte);
const isAlnum = (byte: number) => isAlpha(byte) || isDigit(byte);
const isGraph = (byte: number) => byte > 0x20 && byte < 0x7f;

const CLASSES: ReadonlyMap<string, (byte: number) => boolean> = new Map([
  ['alnum', isAlnum],
  ['alpha', isAlpha],
  ['blank', (byte: number) => byte === 0x20 || byte === 0x09],
  ['cntrl', (byte: number) => byte < 0x20 || byte === 0x7f],
  ['digit', isDigit],
  ['graph', isGraph],
  ['lower', isLower],
  ['print', (byte: number) => byte === 0x20 || isGraph(byte)],
  ['punct', (byte: number) => isGraph(byte) && !isAlnum(byte)],
  ['space', (byte: number) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)],
  ['upper', isUpper],
  ['xdigit', (byte: number) => isDigit(byte) || /[a-f]/i.test(String.fromCharCode(byte))],
]);

/** @param start offset behind the opening bracket */
export function parseBracket(pattern: Uint8Array, start: number): ParsedBracket {
  const isNegated = pattern[start] === EXCLAMATION_MARK || pattern[start] === CIRCUMFLEX;
  const states = new Uint8Array(256);
  let offset = isNegated ? start + 1 : start;
  do {
    if (offset >= pattern.length) return states[OPENING] === SPOILT ? 'never' : 'unclosed';
    const part = parsePart(pattern, offset);
    addPart(states, part);
    offset = part.next;
  } while (pattern[offset] !== CLOSING);
  const wanted = isNegated ? NOT_HELD : HELD;
  const bracket = new Set<number>();
  for (const [byte, state] of states.entries()) if (state === wanted) bracket.add(byte);
  return { bracket, next: offset + 1 };
}

function addPart(states: Uint8Array, part: Part): void {
  for (let byte = 0; byte < states.length; byte++) {
    if (part.spoils === 'held' && states[byte] === HELD) states[byte] = SPOILT;
    if (states[byte] === NOT_HELD && part.has(byte)) states[byte] = HELD;
    if (part.spoils === 'not held' && states[byte] === NOT_HELD) states[byte] = SPOILT;
  }
}

function parsePart(pattern: Uint8Array, offset: number): Part {
  if (pattern[offset] !== OPENING) return parseRange(pattern, offset);
  if (pattern[offset + 1] === COLON) {
    return parseClass(pattern, offset) ?? parseRange(pattern, offset);
  }
  if (pattern[offset + 1] === EQUALS) {
    return parseEquivalents(pattern, offset) ?? { ...parseRange(pattern, offset), spoils: 'held' };
  }
  return parseRange(pattern, offset);
}

/** `[:alpha:]`. Undefined if no name stands there, so that the bracket is an ordinary byte. */
function parseClass(pattern: Uint8Array, offset: number): Part | undefined {
  let end = offset + 2;
  // The C library does not take a "z" for part of a name; no class has one.
  while (isLower(pattern[end]) && pattern[end] !== 0x7a) end++;
  if (pattern[end] !== COLON || pattern[end + 1] !== CLOSING) return undefined;
  const has = CLASSES.get(String.fromCharCode(...pattern.subarray(offset + 2, end)));
  const next = end + 2;
  return has === undefined ? invalid(next) : { has, next };
}

/** `[=a=]`, which is just `a` in the C locale. Undefined if it is not of that form. */
function parseEquivalents(pattern: Uint8Array, offset: number): Part | undefined {
  if (pattern[offset + 3] !== EQUALS || pattern[offset + 4] !== CLOSING) return undefined;
  return { has: (byte) => byte === pattern[offset + 2], next: offset + 5 };
}

/** One byte, or two with a hyphen between. */
function parseRange(pattern: Uint8Array, offset: number): Part {
  const { byte: first, next } = parseEndpoint(pattern, offset);
  if (first === undefined) return invalid(next);
  const isFirst = (byte: number) => byte === first;
  if (pattern[next] !== HYPHEN || pattern[next + 1] === CLOSING) return { has: isFirst, next };
  if (next + 1 === pattern.length) return { ...invalid(next + 1), has: isFirst };
  const end = parseEndpoint(pattern, next + 1);
  const { byte: last } = end;
  if (last === undefined) return invalid(end.next);
  return { has: (byte) => first <= byte && byte <= last, next: end.next };
}

/** A part that the C locale can make nothing of. */
function invalid(next: number): Part {
  return { has: () => false, next, spoils: 'not held' };
}

/** A byte as it stands, escaped, or as `[.a.]`; undefined if there is none or a longer symbol. */
function parseEndpoint(
  pattern: Uint8Array,
  offset: number,
): { readonly byte: number | undefined; readonly next: number } {
  if (offset >= pattern.length) return { byte: undefined, next: pattern.length };
  if (pattern[offset] === BACKSLASH) {
    return { byte: pattern[offset + 1], next: Math.min(offset + 2, pattern.length) };
  }
  if (pattern[offset] !== OPENING || pattern[offset + 1] !== DOT) {
    return { byte: pattern[offset], next: offset + 1 };
  }
  for (let end = offset + 2; end + 1 < pattern.length; end++) {
    if (pattern[end] !== DOT || pattern[end + 1] !== CLOSING) continue;
    return { byte: end === offset + 3 ? pattern[offset + 2] : undefined, next: end + 2 };
  }
  return { byte: undefined, next: pattern.length };
}
