/** Which kind of thing a word names (spec/command-line.md, "Which kind of thing"). */
import { constants, fstatSync, openSync } from 'node:fs';
import { CasError } from '../formats/errors.ts';
import { localPath as localPathOf } from '../lib/api/stores.node.ts';
import { errnoOf, systemFailure } from '../lib/os/system-error.node.ts';
import { classifyLocator, redacted, suffixKind } from '../store/location.ts';
import type { Kind } from './options.ts';

/** Standard input or output as a word. */
export const STANDARD_STREAM = '-';
const STDIN = 0;
/** Opening a fifo must not wait for a writer. */
const OPEN_FOR_READING = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

export function refuse(reason: string): CasError {
  return new CasError('USAGE', { reason });
}

/** The kind that the name's suffix says, if any. */
export function kindOfName(word: string): Kind | undefined {
  return word === STANDARD_STREAM ? undefined : suffixKind(word);
}

/**
 * Checks that a word names something on this machine.
 * @returns the path, with `file://` taken off
 * @throws CasError `UNSUPPORTED` for URLs and ssh locators
 */
export function localPath(word: string, unfit?: string): string {
  if (unfit !== undefined && classifyLocator(word).kind !== 'path')
    throw refuse(`${unfit}: ${word}`);
  return localPathOf(word);
}

/** Whether a word names something on another machine. */
function isRemote(word: string): boolean {
  return classifyLocator(word).kind !== 'path';
}

/** A word that names an output, here or elsewhere, as the library takes it. */
export function placeOf(word: string): string {
  return isRemote(word) ? word : localPath(word);
}

/** An empty word names nothing. @param noun what the original says of it in this place */
export function refuseEmpty(word: string, noun: string): void {
  if (word === '') throw refuse(`Failed to determine ${noun}: `);
}

/** What an input is: `stream` is standard input that is read front to back, `pipe` one with a name. */
export type InputType = 'file' | 'directory' | 'device' | 'stream' | 'pipe' | 'remote' | 'other';

export interface OpenedInput {
  /** A descriptor; the locator of what is on another machine. */
  readonly input: number | string;
  readonly type: InputType;
  /** For messages. */
  readonly label: string;
}

/** Opens a word for reading; never waits for the other end of a fifo. */
export function openInput(word: string, describe: (label: string) => string): OpenedInput {
  if (word === STANDARD_STREAM) {
    return { input: STDIN, type: typeOf(STDIN), label: 'standard input' };
  }
  if (isRemote(word)) return { input: word, type: 'remote', label: redacted(word) };
  const path = localPath(word);
  try {
    const descriptor = openSync(path, OPEN_FOR_READING);
    return { input: descriptor, type: typeOf(descriptor), label: path };
  } catch (cause) {
    const failure = systemFailure('', cause, describe(path));
    if (errnoOf(cause) !== 'ENOENT' || kindOfName(word) === undefined) throw failure;
    throw new CasError('INDEX_MISSING', { subject: describe(path), reason: failure.reason, cause });
  }
}

/**
 * Whoever leaves out the input and runs us with the null device means no empty blob: of the devices
 * that are no block devices only terminals are read.
 */
function typeOf(descriptor: number): InputType {
  const stats = fstatSync(descriptor);
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isBlockDevice()) return 'device';
  const isStandard = descriptor === STDIN;
  if (stats.isFIFO()) return isStandard ? 'stream' : 'pipe';
  const isStream =
    stats.isSocket() ||
    (stats.isCharacterDevice() && process.getBuiltinModule('node:tty').isatty(descriptor));
  return isStandard && isStream ? 'stream' : 'other';
}

/** Whether an input is one blob, archive or index that can be read. */
export function isReadable({ type }: OpenedInput): boolean {
  return type === 'file' || type === 'device' || type === 'stream' || type === 'remote';
}

/** Opens what is read anywhere and not only front to back. @throws CasError `USAGE` for what cannot */
export function openSeekable(word: string): OpenedInput {
  const opened = openInput(word, (path) => `Failed to open ${path}`);
  const { type } = opened;
  if (type === 'file' || type === 'device' || type === 'remote') return opened;
  throw refuse('Seekable archive required.');
}

/**
 * An opened input as the library takes it.
 * @param pipes `named` if pipes may be given by name, too
 * @throws CasError `USAGE` for what cannot be read
 */
export function inputOf(
  opened: OpenedInput,
  pipes: 'named' | 'standard input' = 'standard input',
): { readonly input: number | string; readonly label: string } {
  const { input, type, label } = opened;
  const isFit =
    isReadable(opened) || type === 'directory' || (type === 'pipe' && pipes === 'named');
  if (isFit) return { input, label };
  throw refuse('Input is neither a file or directory. Refusing.');
}

/** What a command that needs to know the kind beforehand can work with. */
export interface KindRule<Allowed extends Kind> {
  readonly allowed: readonly Allowed[];
  /** Said of a `--what=` that is not allowed. */
  readonly unfitWhat: string;
  /** Said of a name without a suffix that tells. */
  readonly unfitName: string;
}

/**
 * The kind by `--what=`, else by the suffix of `word`; undefined for a standard stream.
 * @throws CasError `USAGE` if neither tells a kind that is allowed
 */
export function settledKind<Allowed extends Kind>(
  word: string,
  what: Kind | undefined,
  rule: KindRule<Allowed>,
): Allowed | undefined {
  if (what === undefined && word === STANDARD_STREAM) return undefined;
  const wanted = what ?? kindOfName(word);
  const kind = rule.allowed.find((allowed) => allowed === wanted);
  if (kind !== undefined) return kind;
  throw refuse(what === undefined ? rule.unfitName : rule.unfitWhat);
}
