/**
 * What a row of the table of options is, and how rows are made. Used by option-table.ts and
 * its parts.
 */
import { CasError } from '../formats/errors.ts';
import type { OptionShape } from './getopt.ts';
import type { Options } from './options.ts';
import { parseBoolean, parseByteCount } from './values.ts';

/** Raised by options that answer instead of working; the text goes to stdout, status 0. */
export type Answer = 'help' | 'version' | 'what' | 'features';

export interface OptionRow extends OptionShape {
  /** How the value is shown in the help, for example `=PATH`. */
  readonly metavar?: string;
  readonly help: string;
  /** What a shell offers as value: words, or files or folders. */
  readonly values?: readonly string[] | 'file' | 'folder';
  /** Reads the value into `options`; returns what is to be answered at once, if anything. */
  readonly apply: (options: Options, value: string) => Answer | undefined;
}

export type Setter = (options: Options, value: string) => void;
export type RowParts = Pick<OptionRow, 'short' | 'values'>;

export function refuse(reason: string): CasError {
  return new CasError('USAGE', { reason });
}

function badParameter(name: string, value: string): CasError {
  return refuse(`Failed to parse --${name}= parameter: ${value}`);
}

/** @returns what is known, `parsed` @throws CasError `USAGE` if it is undefined */
export function known<T>(parsed: T | undefined, name: string, value: string): T {
  if (parsed === undefined) throw badParameter(name, value);
  return parsed;
}

/** The one of `names` that is `value`. @throws CasError `USAGE` if none is */
export function oneOf<T extends string>(names: readonly T[], option: string, value: string): T {
  return known(
    names.find((name) => name === value),
    option,
    value,
  );
}

export function flagRow(long: string, help: string, set: Setter, parts: RowParts = {}): OptionRow {
  return { ...valueRow(long, '', help, set, parts), takesValue: false };
}

export function valueRow(
  long: string,
  metavar: string,
  help: string,
  set: Setter,
  parts: RowParts = {},
): OptionRow {
  const apply = (options: Options, value: string): undefined => {
    set(options, value);
  };
  return { long, takesValue: true, metavar, help, apply, ...parts };
}

/** The fields that hold any text. */
type TextField = {
  [K in keyof Options]: string | undefined extends Options[K] ? K : never;
}[keyof Options];

/** An option whose value is taken as it is. */
export function textRow(
  long: string,
  metavar: string,
  field: TextField,
  help: string,
  values?: OptionRow['values'],
): OptionRow {
  const set = (options: Options, value: string): void => {
    options[field] = value;
  };
  return valueRow(long, metavar, help, set, values === undefined ? {} : { values });
}

type BooleanField = {
  [K in keyof Options]: Options[K] extends boolean ? K : never;
}[keyof Options];

export const BOOLEAN_WORDS = ['yes', 'no'];

export function booleanRow(long: string, field: BooleanField, help: string): OptionRow {
  const set: Setter = (options, value) => {
    options[field] = known(parseBoolean(value), long, value);
  };
  return valueRow(long, '=BOOL', help, set, { values: BOOLEAN_WORDS });
}

type SizeField = {
  [K in keyof Options]-?: number | undefined extends Options[K] ? K : never;
}[keyof Options];

/** An option that is a number of bytes, `least` or more. */
export function sizeRow(long: string, field: SizeField, help: string, least = 0): OptionRow {
  const set: Setter = (options, value) => {
    options[field] = known(parseByteCount(value, least), long, value);
  };
  return valueRow(long, '=SIZE', help, set);
}

export function answerRow(
  long: string,
  help: string,
  answer: Answer,
  parts: RowParts = {},
): OptionRow {
  return { ...flagRow(long, help, () => {}, parts), apply: () => answer };
}

/** An option that casync 2 does not have. */
export function own(row: OptionRow): OptionRow {
  return { ...row, neverShortened: true };
}
