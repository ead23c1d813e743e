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
  readonly bytes: readonly number[];
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

const ALL_BYTES: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte);

const CLASSES: ReadonlyMap<string, readonly number[]> = new Map(
  Object.entries<(byte: number) => boolean>({
    alnum: isAlnum,
    alpha: isAlpha,
    blank: (byte) => byte === 0x20 || byte === 0x09,
    cntrl: (byte) => byte < 0x20 || byte === 0x7f,
    digit: isDigit,
    graph: isGraph,
    lower: isLower,
    print: (byte) => byte === 0x20 || isGraph(byte),
    punct: (byte) => isGraph(byte) && !isAlnum(byte),
    space: (byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d),
    upper: isUpper,
    xdigit: (byte) => isDigit(byte) || /[a-f]/i.test(String.fromCharCode(byte)),
  }).map(([name, has]) => [name, ALL_BYTES.filter(has)]),
);

/** Bytes up to which an end is looked for: what is longer counts as unclosed. */
const LONGEST_BRACKET = 1024;

/** @param start offset behind the opening bracket */
export function parseBracket(pattern: Uint8Array, start: number): ParsedBracket {
  const isNegated = pattern[start] === EXCLAMATION_MARK || pattern[start] === CIRCUMFLEX;
  const text = pattern.subarray(0, start + LONGEST_BRACKET);
  const members = new Members();
  let offset = isNegated ? start + 1 : start;
  do {
    if (offset >= text.length) return members.stateOf(OPENING) === SPOILT ? 'never' : 'unclosed';
    const part = parsePart(text, offset);
    members.add(part);
    offset = part.next;
  } while (text[offset] !== CLOSING);
  const wanted = isNegated ? NOT_HELD : HELD;
  const bracket = new Set(ALL_BYTES.filter((byte) => members.stateOf(byte) === wanted));
  return { bracket, next: offset + 1 };
}

/** The state of every byte; each changes twice at most, so that all parts together cost little. */
class Members {
  readonly #states = new Uint8Array(ALL_BYTES.length);
  #held: number[] = [];
  #isCutShort = false;

  stateOf(byte: number): number {
    return this.#states[byte];
  }

  add({ bytes, spoils }: Part): void {
    if (spoils === 'held') {
      for (const byte of this.#held) this.#states[byte] = SPOILT;
      this.#held = [];
    }
    for (const byte of this.#isCutShort ? [] : bytes) {
      if (this.#states[byte] !== NOT_HELD) continue;
      this.#states[byte] = HELD;
      this.#held.push(byte);
    }
    if (spoils !== 'not held' || this.#isCutShort) return;
    this.#isCutShort = true;
    for (const byte of ALL_BYTES) {
      if (this.#states[byte] === NOT_HELD) this.#states[byte] = SPOILT;
    }
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
  const bytes = CLASSES.get(String.fromCharCode(...pattern.subarray(offset + 2, end)));
  const next = end + 2;
  return bytes === undefined ? invalid(next) : { bytes, next };
}

/** `[=a=]`, which is just `a` in the C locale. Undefined if it is not of that form. */
function parseEquivalents(pattern: Uint8Array, offset: number): Part | undefined {
  if (pattern[offset + 3] !== EQUALS || pattern[offset + 4] !== CLOSING) return undefined;
  return { bytes: [pattern[offset + 2]], next: offset + 5 };
}

/** One byte, or two with a hyphen between. */
function parseRange(pattern: Uint8Array, offset: number): Part {
  const { byte: first, next } = parseEndpoint(pattern, offset);
  if (first === undefined) return invalid(next);
  if (pattern[next] !== HYPHEN || pattern[next + 1] === CLOSING) return { bytes: [first], next };
  if (next + 1 === pattern.length) return { ...invalid(next + 1), bytes: [first] };
  const end = parseEndpoint(pattern, next + 1);
  const { byte: last } = end;
  if (last === undefined) return invalid(end.next);
  return { bytes: ALL_BYTES.slice(first, last + 1), next: end.next };
}

/** A part that the C locale can make nothing of. */
function invalid(next: number): Part {
  return { bytes: [], next, spoils: 'not held' };
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
