/** JSON on standard output: one object a line, free of what a terminal could obey (spec/formats/text.md). */

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A line with its newline. */
export function jsonLine(value: object): string {
  const text = JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? `${part}` : part));
  return `${text.replace(/[\u007f-\u009f\u2028\u2029]/g, escaped)}\n`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/**
 * Bytes that mean text as a field of an object. Where they are not UTF-8, what cannot be shown becomes
 * U+FFFD, and another field whose name ends in `Base64` has the bytes.
 */
export function textField(name: string, bytes: Uint8Array): Record<string, string> {
  try {
    return { [name]: UTF8.decode(bytes) };
  } catch {
    const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
    return { [name]: text, [`${name}Base64`]: base64(bytes) };
  }
}
