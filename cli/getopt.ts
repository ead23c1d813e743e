/**
 * GNU getopt_long in front of commander: abbreviated long options, bundled short ones, glued values,
 * permutation, `--` and POSIXLY_CORRECT, with the C library's messages (spec/command-line.md).
 */
import { CasError } from '../formats/errors.ts';

/** What getopt needs to know of an option. */
export interface OptionShape {
  readonly long: string;
  readonly short?: string;
  readonly takesValue: boolean;
  /** Whether it may also be said without one; a value must stand behind `=` then. */
  readonly isValueOptional?: boolean;
  /** True for options that casync 2 lacks: its abbreviations keep their meaning. */
  readonly neverShortened?: boolean;
}

export interface Word {
  readonly kind: 'word';
  readonly text: string;
}

export interface ParsedOption {
  readonly kind: 'option';
  readonly long: string;
  /** Present exactly if the option takes a value. */
  readonly value?: string;
}

export interface GetoptSettings {
  /** Name of the program as it was called, for messages. */
  readonly program: string;
  /** The first word ends the options, as POSIXLY_CORRECT asks. */
  readonly stopAtFirstWord: boolean;
}

/** A word that is no option, or an option that is not whole; said at every log level. */
export class GetoptError extends CasError {
  constructor(program: string, reason: string) {
    super('USAGE', { subject: program, reason });
    this.name = 'GetoptError';
  }
}

function usage(settings: GetoptSettings, reason: string): GetoptError {
  return new GetoptError(settings.program, reason);
}

/** @param argument name, and the value behind `=` if there is one: refusals show both */
function findLong(
  name: string,
  argument: string,
  options: readonly OptionShape[],
  settings: GetoptSettings,
): OptionShape {
  const exact = options.find((option) => option.long === name);
  if (exact) return exact;
  const candidates = options.filter(
    (option) => option.long.startsWith(name) && option.neverShortened !== true,
  );
  if (candidates.length === 1) return candidates[0];
  if (candidates.length === 0) throw usage(settings, `unrecognized option '${argument}'`);
  const possibilities = candidates.map((option) => `'--${option.long}'`).join(' ');
  throw usage(settings, `option '${argument}' is ambiguous; possibilities: ${possibilities}`);
}

/**
 * Yields options and words from left to right, so that the caller can act on each before the next is
 * looked at.
 * @throws GetoptError with the C library's text
 */
export function* getopt(
  argv: readonly string[],
  options: readonly OptionShape[],
  settings: GetoptSettings,
): Generator<ParsedOption | Word> {
  let onlyWords = false;
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i];
    if (onlyWords || argument === '-' || !argument.startsWith('-')) {
      if (settings.stopAtFirstWord) onlyWords = true;
      yield { kind: 'word', text: argument };
    } else if (argument === '--') {
      onlyWords = true;
    } else if (argument.startsWith('--')) {
      const equals = argument.indexOf('=');
      const name = argument.slice(2, equals < 0 ? undefined : equals);
      const option = findLong(name, argument, options, settings);
      if (!option.takesValue || (option.isValueOptional && equals < 0)) {
        if (equals >= 0) {
          throw usage(settings, `option '--${option.long}' doesn't allow an argument`);
        }
        yield { kind: 'option', long: option.long };
        continue;
      }
      const value = equals >= 0 ? argument.slice(equals + 1) : argv[++i];
      if (value === undefined) {
        throw usage(settings, `option '--${option.long}' requires an argument`);
      }
      yield { kind: 'option', long: option.long, value };
    } else {
      i += yield* shortOptions(argument.slice(1), argv[i + 1], options, settings);
    }
  }
}

/** The options bundled in one argument; returns how many following arguments were used up. */
function* shortOptions(
  letters: string,
  next: string | undefined,
  options: readonly OptionShape[],
  settings: GetoptSettings,
): Generator<ParsedOption, number> {
  for (let i = 0; i < letters.length; i++) {
    const option = options.find((candidate) => candidate.short === letters[i]);
    if (!option) throw usage(settings, `invalid option -- '${letters[i]}'`);
    if (!option.takesValue) {
      yield { kind: 'option', long: option.long };
      continue;
    }
    const glued = letters.slice(i + 1);
    const value = glued === '' ? next : glued;
    if (value === undefined) {
      throw usage(settings, `option requires an argument -- '${letters[i]}'`);
    }
    yield { kind: 'option', long: option.long, value };
    return glued === '' ? 1 : 0;
  }
  return 0;
}
