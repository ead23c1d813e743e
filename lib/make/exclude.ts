/**
 * The rules of `.caexclude` files: which children of a directory are left out of an archive. Used by
 * the folder walk. Implements spec/formats/excludes.md. Everything is bytes; nothing is read here.
 */
import { FormatError, LimitExceeded } from '../../formats/errors.ts';
import { compilePattern, matchesName, type NamePattern } from './fnmatch.ts';

/** A line of an exclude file, as it applies to the children of one directory. */
interface Rule {
  /** Keeps what it matches, whatever other rules say. */
  readonly isKeeping: boolean;
  /** Written with a slash: does not hold in the directories below. */
  readonly isAnchored: boolean;
  /** Matches directories only. */
  readonly isDirectoryOnly: boolean;
  /** One pattern for each level of the path, this directory's children first; at least one. */
  readonly components: readonly NamePattern[];
}

const LONGEST_LINE = 65535;
const MOST_RULES = 100_000;

const NUL = 0x00;
const TAB = 0x09;
const LINE_FEED = 0x0a;
const BLANK = 0x20;
const EXCLAMATION_MARK = 0x21;
const HASH = 0x23;
const DOT = 0x2e;
const SLASH = 0x2f;

/** All rules that apply to the children of one directory; immutable. Without rules nothing is excluded. */
export class ExcludeRules {
  readonly #rules: readonly Rule[];

  constructor(rules: readonly Rule[] = []) {
    this.#rules = rules;
  }

  /**
   * These rules and those of the directory's own exclude file.
   * @throws FormatError naming the line; LimitExceeded for more than 100 000 rules
   */
  withFile(bytes: Uint8Array): ExcludeRules {
    const rules = [...this.#rules];
    for (const rule of parseRules(bytes)) {
      if (rules.length === MOST_RULES) {
        throw new LimitExceeded({
          step: 'read exclude rules',
          reason: `more than ${MOST_RULES} rules apply to one folder`,
        });
      }
      rules.push(rule);
    }
    return new ExcludeRules(rules);
  }

  /** True if nothing is left out whatever its name. */
  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** True if the child `name` is to be left out. A rule with `!` wins over all others. */
  excludes(name: Uint8Array, isDirectory: boolean): boolean {
    let isExcluded = false;
    for (const { components, isDirectoryOnly, isKeeping } of this.#rules) {
      if (components.length > 1 || (isDirectoryOnly && !isDirectory)) continue;
      if (isExcluded && !isKeeping) continue;
      if (!matchesName(components[0], name)) continue;
      if (isKeeping) return false;
      isExcluded = true;
    }
    return isExcluded;
  }

  /** What the child directory `name` inherits. */
  forChild(name: Uint8Array): ExcludeRules {
    if (this.isEmpty) return this;
    const inherited: Rule[] = [];
    for (const rule of this.#rules) {
      if (!rule.isAnchored) {
        inherited.push(rule);
      } else if (rule.components.length > 1 && matchesName(rule.components[0], name)) {
        inherited.push({ ...rule, components: rule.components.slice(1) });
      }
    }
    return new ExcludeRules(inherited);
  }
}

function* parseRules(bytes: Uint8Array): Generator<Rule> {
  let number = 0;
  for (let start = 0; start < bytes.length; ) {
    let end = start;
    while (end < bytes.length && bytes[end] !== LINE_FEED && bytes[end] !== NUL) end++;
    number++;
    const refuse = (expectation: string) =>
      new FormatError('exclude file', `line ${number}`, start, expectation);
    if (end - start > LONGEST_LINE) throw refuse(`must have at most ${LONGEST_LINE} bytes`);
    const line = trim(bytes.subarray(start, end));
    if (line.length > 0 && line[0] !== HASH) yield parseRule(line, refuse);
    start = end + 1;
  }
}

function trim(line: Uint8Array): Uint8Array {
  const isSpace = (byte: number) => byte === BLANK || byte === TAB;
  let start = 0;
  let end = line.length;
  while (start < end && isSpace(line[start])) start++;
  while (end > start && isSpace(line[end - 1])) end--;
  return line.subarray(start, end);
}

function parseRule(line: Uint8Array, refuse: (expectation: string) => Error): Rule {
  const isKeeping = line[0] === EXCLAMATION_MARK;
  const path = isKeeping ? line.subarray(1) : line;
  const components = splitPath(path);
  if (components.length === 0) throw refuse('must name something');
  if (components.some(isDotOrDotDot)) throw refuse('must not contain "." or ".." as a component');
  return {
    isKeeping,
    isAnchored: path.includes(SLASH),
    isDirectoryOnly: path.at(-1) === SLASH,
    components: components.map(compilePattern),
  };
}

/** The components between slashes; runs of slashes count as one. */
function splitPath(path: Uint8Array): Uint8Array[] {
  const components: Uint8Array[] = [];
  let start = 0;
  for (let end = 0; end <= path.length; end++) {
    if (end < path.length && path[end] !== SLASH) continue;
    if (end > start) components.push(path.subarray(start, end));
    start = end + 1;
  }
  return components;
}

function isDotOrDotDot(component: Uint8Array): boolean {
  return component.length <= 2 && component.every((byte) => byte === DOT);
}
