/**
 * Messages of a session whose parts have numbers: what they lack has a default, and what an older side
 * does not know it can skip. Implements spec/formats/session.md, "Fields".
 */
import { readSize, readU32, writeU32, writeU64 } from './bytes.ts';
import { FormatError } from './errors.ts';

/** Fields of one message, at most. */
const MOST_FIELDS = 256;
/** Whoever does not know such a field must not go on. */
const MUST_KNOW = 0x80;

/** Writes a message. A number may be used once. */
export class FieldWriter {
  readonly #parts: Uint8Array[] = [];

  /** @param field 1 to 127 for what may be skipped, from 129 for what must be understood */
  bytes(field: number, bytes: Uint8Array | undefined): this {
    if (bytes === undefined) return this;
    const head = new Uint8Array(5);
    head[0] = field;
    writeU32(head, 1, bytes.length);
    this.#parts.push(head, bytes);
    return this;
  }

  number(field: number, value: number | undefined): this {
    if (value === undefined) return this;
    const bytes = new Uint8Array(8);
    writeU64(bytes, 0, value);
    return this.bytes(field, bytes);
  }

  flag(field: number, value: boolean): this {
    return value ? this.bytes(field, new Uint8Array(0)) : this;
  }

  finish(): Uint8Array {
    const result = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let offset = 0;
    for (const part of this.#parts) {
      result.set(part, offset);
      offset += part.length;
    }
    return result;
  }
}

/** The fields of a message, by number. */
export class Fields {
  readonly #name: string;
  readonly #fields = new Map<number, { readonly offset: number; readonly bytes: Uint8Array }>();

  /**
   * @param name of the message, for errors
   * @param known numbers that whoever calls understands
   * @throws FormatError
   */
  constructor(name: string, content: Uint8Array, known: readonly number[]) {
    this.#name = name;
    for (let offset = 0; offset < content.length; ) {
      if (offset + 5 > content.length) throw this.wrong(offset, 'the message ends early');
      const [field, length] = [content[offset], readU32(content, offset + 1)];
      const end = offset + 5 + length;
      if (end > content.length) throw this.wrong(offset, 'the message ends early');
      const isNew = !this.#fields.has(field) && this.#fields.size < MOST_FIELDS && field % 128 > 0;
      if (!isNew) throw this.wrong(offset, `field ${field} must not be here`);
      if (field > MUST_KNOW && !known.includes(field)) {
        throw this.wrong(offset, `field ${field} is not known: a newer casync is needed`);
      }
      this.#fields.set(field, { offset, bytes: content.subarray(offset + 5, end) });
      offset = end;
    }
  }

  bytes(field: number): Uint8Array | undefined {
    return this.#fields.get(field)?.bytes;
  }

  /** @throws FormatError if it is not there, or has another length */
  bytesOf(field: number, length: number): Uint8Array {
    const found = this.#fields.get(field);
    if (found?.bytes.length === length) return found.bytes;
    throw this.wrong(found?.offset ?? 0, `field ${field} must have ${length} bytes`);
  }

  has(field: number): boolean {
    return this.#fields.has(field);
  }

  /** @throws FormatError if it is there and no number up to `most` */
  number(field: number, most: number = Number.MAX_SAFE_INTEGER): number | undefined {
    const found = this.#fields.get(field);
    if (found === undefined) return undefined;
    const { bytes, offset } = found;
    if (bytes.length !== 8) throw this.wrong(offset, `field ${field} must be a number`);
    const value = readSize(bytes, 0);
    if (value > most) throw this.wrong(offset, `field ${field} is at most ${most}`);
    return value;
  }

  /** The error for a field. */
  wrong(offset: number, expectation: string): FormatError {
    return new FormatError('session', this.#name, offset, expectation);
  }
}
