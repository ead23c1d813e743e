/**
 * Reads the XML that S3 services answer with: elements and their texts. Nothing else of XML is known,
 * above all no document types. Used by s3-answers.ts.
 */
import { FormatError } from '../../formats/errors.ts';

export interface XmlVisitor {
  /** An element without elements in it. @param parent empty for the root */
  leaf(parent: string, name: string, text: string): void;
  /** The end of an element that has others in it. */
  end(name: string): void;
}

const MAX_DEPTH = 16;
const OPENING = /<([A-Za-z_][\w.:-]*)(?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*(\/?)>/y;
const CLOSING = /<\/([A-Za-z_][\w.:-]*)\s*>/y;
const REFERENCE = /&(?:#([0-9]{1,7})|#x([0-9a-fA-F]{1,6})|([a-z]{2,4}));|&/g;
const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  apos: "'",
  gt: '>',
  lt: '<',
  quot: '"',
};
/** What is skipped, or taken as it is: how it begins and ends. */
const SECTIONS = [
  { start: '<?', end: '?>', isText: false },
  { start: '<!--', end: '-->', isText: false },
  { start: '<![CDATA[', end: ']]>', isText: true },
] as const;

interface OpenElement {
  readonly name: string;
  text: string;
  hasElements: boolean;
}

/** Tells the visitor all elements, in the order in which they end. @throws FormatError */
export function visitXml(text: string, visitor: XmlVisitor): void {
  new XmlReader(text, visitor).read();
}

class XmlReader {
  readonly #text: string;
  readonly #visitor: XmlVisitor;
  readonly #open: OpenElement[] = [];
  #offset = 0;
  #hasRoot = false;

  constructor(text: string, visitor: XmlVisitor) {
    this.#text = text;
    this.#visitor = visitor;
  }

  read(): void {
    while (this.#offset < this.#text.length) {
      const mark = this.#text.indexOf('<', this.#offset);
      const end = mark < 0 ? this.#text.length : mark;
      this.#takeText(this.#text.slice(this.#offset, end));
      this.#offset = end;
      if (mark >= 0) this.#takeMark();
    }
    if (this.#open.length > 0) throw this.#wrong(`no end of ${this.#open.at(-1)?.name}`);
    if (!this.#hasRoot) throw this.#wrong('no element');
  }

  #wrong(expectation: string): FormatError {
    return new FormatError('XML', 'element', this.#offset, expectation);
  }

  #takeText(raw: string): void {
    const element = this.#open.at(-1);
    if (element !== undefined) element.text += this.#resolved(raw);
    else if (raw.replace('\u{feff}', '').trim() !== '')
      throw this.#wrong('text outside of the root');
  }

  #takeMark(): void {
    if (this.#takeSection()) return;
    const opening = this.#match(OPENING);
    if (opening !== undefined) {
      this.#begin(localName(opening[1]), opening[2] === '/');
      return;
    }
    const closing = this.#match(CLOSING);
    if (closing === undefined) throw this.#wrong('not a tag');
    if (localName(closing[1]) !== this.#open.at(-1)?.name) throw this.#wrong('ends out of order');
    this.#end();
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#text) ?? undefined;
    if (found !== undefined) this.#offset += found[0].length;
    return found;
  }

  #takeSection(): boolean {
    const section = SECTIONS.find(({ start }) => this.#text.startsWith(start, this.#offset));
    if (section === undefined) return false;
    const start = this.#offset + section.start.length;
    const end = this.#text.indexOf(section.end, start);
    if (end < 0) throw this.#wrong(`no end of ${section.start}`);
    const element = this.#open.at(-1);
    if (section.isText && element !== undefined) element.text += this.#text.slice(start, end);
    this.#offset = end + section.end.length;
    return true;
  }

  #begin(name: string, isEmpty: boolean): void {
    const parent = this.#open.at(-1);
    if (parent === undefined && this.#hasRoot) throw this.#wrong('a second root');
    if (this.#open.length === MAX_DEPTH) throw this.#wrong(`more than ${MAX_DEPTH} levels`);
    if (parent !== undefined) parent.hasElements = true;
    this.#hasRoot = true;
    this.#open.push({ name, text: '', hasElements: false });
    if (isEmpty) this.#end();
  }

  #end(): void {
    const element = this.#open.pop();
    if (element === undefined) return;
    const { name, text, hasElements } = element;
    if (hasElements) this.#visitor.end(name);
    else this.#visitor.leaf(this.#open.at(-1)?.name ?? '', name, text);
  }

  #resolved(raw: string): string {
    if (!raw.includes('&')) return raw;
    return raw.replace(REFERENCE, (_, decimal?: string, hex?: string, name?: string) => {
      if (name !== undefined && Object.hasOwn(ENTITIES, name)) return ENTITIES[name];
      const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
      if (!(code > 0 && code <= 0x10ffff)) throw this.#wrong('unknown reference');
      return String.fromCodePoint(code);
    });
  }
}

/** Without the prefix of a name space. */
function localName(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1);
}
