/**
 * The command lines of the programs that speak the casync protocol for a place elsewhere: ssh, and the
 * helpers of URL schemes. Rules: spec/remote.md, "ssh and helpers".
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { CasError } from '../../formats/errors.ts';
import type { LocationSettings } from '../location-settings.ts';

export interface Command {
  /** A path, or a name that is looked up in PATH. */
  readonly program: string;
  /** Never contains credentials that are not in the locators. */
  readonly words: readonly string[];
}

/** The words of `pull` and `push`; the first of the stores is the one that is written. */
export interface PeerWords {
  readonly verb: 'pull' | 'push';
  readonly archive?: string;
  readonly index?: string;
  readonly stores?: readonly string[];
}

export interface PeerCommandOptions {
  readonly settings: LocationSettings;
}

const DEFAULT_HELPERS = '/usr/lib/casync/protocols';
const HOST_PATTERN = /^(?:[A-Za-z0-9_.][A-Za-z0-9_.-]*@)?[A-Za-z0-9_.:][A-Za-z0-9_.:-]*$/;
/** Means itself to every shell, wherever it stands. */
const PLAIN_WORD = /^[A-Za-z0-9_@+:,./-][A-Za-z0-9_@+:,./=-]*$/;
/** A home folder, which the other side's shell knows and nobody else; not to it if the slash is quoted. */
const HOME = /^~(?:[A-Za-z_][A-Za-z0-9_.-]*)?(?:\/|$)/;

/**
 * Runs casync there, in the protocol on its standard input and output.
 * @param host `[USER@]HOST`
 * @param words paths as they stand behind `HOST:`
 * @throws CasError `USAGE` for what can be no host, program or path
 */
export function casyncOverSsh(
  host: string,
  words: PeerWords,
  { settings }: PeerCommandOptions,
): Command {
  const { verb, archive, index, stores = [] } = words;
  const remote = [
    ...remoteCasync(settings),
    verb,
    '-',
    pathWord(archive),
    pathWord(index),
    ...(stores.length === 0 ? ['-'] : stores.map(pathWord)),
  ];
  return sshCommand(host, { settings, words: remote.map(quoted) });
}

/**
 * Runs the far end of a session there (spec/formats/session.md). No path is among the words.
 * @param host `[USER@]HOST`
 * @throws CasError `USAGE` for what can be no host or program
 */
export function sessionOverSsh(host: string, { settings }: PeerCommandOptions): Command {
  const remote = [...remoteCasync(settings), 'serve', '--stdio'];
  return sshCommand(host, { settings, words: remote.map(quoted) });
}

/** The program there and its first options. @throws CasError `USAGE` */
function remoteCasync(settings: LocationSettings): readonly string[] {
  const { environment, remoteArguments = [], rateLimit, logLevel } = settings;
  const program = settings.remoteProgram ?? (environment.CASYNC_REMOTE_PATH || 'casync');
  if (program.startsWith('-')) throw refused(program, 'This is no program to run with ssh.');
  return [
    program,
    ...remoteArguments,
    ...(logLevel === undefined ? [] : [`--log-level=${logLevel}`]),
    ...rateOption(rateLimit),
  ];
}

/**
 * The words of a command that somebody has written as one: cut at blanks that no quote and no
 * backslash keeps.
 * @throws CasError `USAGE` if there are none, or a quote does not end
 */
export function commandWords(text: string): readonly [program: string, ...words: string[]] {
  const words: string[] = [];
  const pattern = /\s*((?:[^\s'"\\]|'[^']*'|"(?:[^"\\]|\\.)*"|\\.)+)(?=\s|$)/sy;
  while (text.slice(pattern.lastIndex).trim() !== '') {
    const found = pattern.exec(text)?.[1];
    if (found === undefined) throw refused(text, 'This is no command: a quote has no end.');
    words.push(found.replaceAll(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/gs, unquoted));
  }
  const [program, ...rest] = words;
  if (program === undefined || program === '') throw refused(text, 'This is no command.');
  return [program, ...rest];
}

function unquoted(_: string, single?: string, double?: string, plain?: string): string {
  return single ?? double?.replaceAll(/\\(.)/gs, '$1') ?? plain ?? '';
}

export interface SubsystemOptions {
  readonly settings: LocationSettings;
  /** Options for ssh, before the host. */
  readonly options: readonly string[];
}

/**
 * Runs a subsystem of the ssh server there. Used for SFTP.
 * @param host `[USER@]HOST`, the latter also an IPv6 address
 * @param name for example `sftp`
 * @throws CasError `USAGE`
 */
export function subsystemOverSsh(
  host: string,
  name: string,
  { settings, options }: SubsystemOptions,
): Command {
  return sshCommand(host, { settings, options: [...options, '-s'], words: [name] });
}

interface SshWords {
  readonly settings: LocationSettings;
  readonly options?: readonly string[];
  readonly words: readonly string[];
}

function sshCommand(host: string, { settings, options = [], words }: SshWords): Command {
  if (!HOST_PATTERN.test(host)) throw refused(host, 'This is no host for ssh.');
  const program = settings.sshProgram ?? (settings.environment.CASYNC_SSH_PATH || 'ssh');
  const own = settings.sshArguments ?? [];
  return { program: checked(program), words: [...own, ...options, host, ...words] };
}

/**
 * Runs the helper of a URL scheme.
 * @param words URLs, all of this scheme
 * @throws CasError `USAGE`
 */
export function helperCommand(
  scheme: string,
  words: PeerWords,
  { settings }: PeerCommandOptions,
): Command {
  const { verb, archive = '-', index = '-', stores = [] } = words;
  return {
    program: checked(join(helperFolder(settings), `casync-${scheme}`)),
    words: [
      ...rateOption(settings.rateLimit),
      verb,
      '-',
      ...[archive, index, ...(stores.length === 0 ? ['-'] : stores)].map(checked),
    ],
  };
}

function helperFolder({ environment }: LocationSettings): string {
  return environment.CASYNC_PROTOCOL_PATH || DEFAULT_HELPERS;
}

/**
 * Whether the user has a helper of his own for the scheme: one that lies in a folder that
 * CASYNC_PROTOCOL_PATH names. It goes before what is built in.
 */
export function hasOwnHelper(scheme: string, settings: LocationSettings): boolean {
  if (!settings.environment.CASYNC_PROTOCOL_PATH) return false;
  try {
    accessSync(join(helperFolder(settings), `casync-${scheme}`), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function rateOption(rateLimit: number | undefined): readonly string[] {
  return rateLimit === undefined ? [] : [`--rate-limit-bps=${Math.ceil(rateLimit)}`];
}

/**
 * A path as a word that the casync there takes for nothing else: no option, no absent word, and no
 * place of a third machine.
 */
function pathWord(path: string | undefined): string {
  if (path === undefined) return '-';
  if (path === '') throw refused(path, 'This is no path.');
  return /^-|^[^/]*:/.test(path) ? `./${path}` : path;
}

/** The word for a shell there: as it is, wherever no shell reads anything into it. */
function quoted(word: string): string {
  checked(word);
  const home = HOME.exec(word)?.[0] ?? '';
  const rest = word.slice(home.length);
  if (PLAIN_WORD.test(rest) || (rest === '' && home !== '')) return word;
  return `${home}'${rest.replaceAll("'", "'\\''")}'`;
}

function checked(word: string): string {
  if (word.includes('\0')) throw refused(word.replaceAll('\0', '?'), 'A zero byte is in it.');
  return word;
}

function refused(subject: string, reason: string): CasError {
  return new CasError('USAGE', { subject, reason });
}
