/** Texts and failures that the two sides of a session tell each other (spec/formats/session.md). */
import { CasError, FormatError } from '../../../formats/errors.ts';
import { Fields, FieldWriter } from '../../../formats/session-fields.ts';

const LONGEST_TEXT = 4096;
const FIELD = { code: 1, subject: 2, step: 3, reason: 4, isLater: 5 } as const;
const KNOWN = Object.values(FIELD);
/** What has happened to the program there, and not to this one. */
const OF_THERE = new Set(['ABORTED', 'READER_GONE']);
/** What a terminal would take for a command, and line ends. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text.slice(0, LONGEST_TEXT));
}

/** One line, without what could be more than text. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, 4 * LONGEST_TEXT)).replaceAll(CONTROL, '?');
}

export function encodeFailure({ code, subject, step, reason, retry }: CasError): Uint8Array {
  const text = (value: string | undefined) => (value === undefined ? undefined : encodeText(value));
  return new FieldWriter()
    .bytes(FIELD.code, text(code))
    .bytes(FIELD.subject, text(subject))
    .bytes(FIELD.step, text(step))
    .bytes(FIELD.reason, text(reason))
    .flag(FIELD.isLater, retry === 'later')
    .finish();
}

/**
 * The failure of the other side, as one of ours.
 * @param label the other side; stands before what it says
 */
export function decodeFailure(content: Uint8Array, label: string): CasError {
  const fields = new Fields('FAILURE', content, KNOWN);
  const text = (field: number): string | undefined => {
    const bytes = fields.bytes(field);
    return bytes === undefined ? undefined : decodeText(bytes);
  };
  const code = text(FIELD.code) ?? '';
  if (!/^[A-Z_]{1,40}$/.test(code)) {
    throw new FormatError('session', 'FAILURE', 0, 'a code of letters');
  }
  const subject = text(FIELD.subject);
  const step = text(FIELD.step);
  return new CasError(OF_THERE.has(code) ? 'UNAVAILABLE' : code, {
    subject: subject === undefined ? label : `${label}: ${subject}`,
    reason: text(FIELD.reason) ?? 'it gives no reason',
    retry: fields.has(FIELD.isLater) ? 'later' : 'never',
    ...(step === undefined ? {} : { step }),
  });
}
