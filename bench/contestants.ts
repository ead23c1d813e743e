/**
 * Finds the programs that take part: by --peer NAME=PATH, for desync by $DESYNC, else in PATH; and
 * says which versions they are. Used at the start of `npm run bench`.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { PEERS, type Peer } from './peers.ts';
import type { ContestantFacts } from './result.ts';

export interface Contestant {
  readonly peer: Peer;
  readonly facts: ContestantFacts;
}

export interface Choice {
  /** Names of the contestants wanted; undefined for all of the usual ones. */
  readonly names?: readonly string[];
  /** Paths by name, instead of what is in PATH. */
  readonly paths: Readonly<Record<string, string>>;
}

const OURS = join(import.meta.dirname, '..', 'cli', 'casync.cjs');
/** Takes part only when it is named. */
const ON_DEMAND = ['ours-nosync'];
/** Who takes part where nobody is named. */
export const USUAL_NAMES: readonly string[] = PEERS.map(({ name }) => name).filter(
  (name) => !ON_DEMAND.includes(name),
);
const VERSION_TIMEOUT_MS = 60_000;

/**
 * This project always takes part, and first.
 * @throws Error if something that was asked for is not there
 */
export function findContestants(choice: Choice): readonly Contestant[] {
  const known = PEERS.map(({ name }) => name);
  for (const name of [...(choice.names ?? []), ...Object.keys(choice.paths)]) {
    if (!known.includes(name)) throw new Error(`no peer "${name}"; there are ${known.join(', ')}`);
  }
  return PEERS.flatMap((peer) => {
    const isNamed = choice.names?.includes(peer.name) === true || peer.name in choice.paths;
    const byDefault = choice.names === undefined && USUAL_NAMES.includes(peer.name);
    if (peer.name !== 'ours' && !isNamed && !byDefault) return [];
    const path = pathOf(peer.name, choice.paths);
    if (path === undefined && isNamed) throw new Error(`${peer.name} is not installed`);
    if (path === undefined) return [];
    const { name, note } = peer;
    return [{ peer, facts: { name, path, version: versionOf(name, path), note } }];
  });
}

function pathOf(name: string, paths: Readonly<Record<string, string>>): string | undefined {
  const given = paths[name] ?? (name === 'desync' ? process.env.DESYNC : undefined);
  if (given !== undefined) {
    if (!existsSync(given)) throw new Error(`${name} is not at ${given}`);
    return resolve(given);
  }
  const isOurs = name.startsWith('ours') || name === 'download';
  return isOurs ? (paths.ours ?? OURS) : findInPath(name);
}

/** Full path of a program in PATH, undefined if there is none. */
export function findInPath(name: string): string | undefined {
  const folders = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`.split(
    delimiter,
  );
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** For a source checkout of this project this also brings its bundle up to date. */
function versionOf(name: string, path: string): string {
  if (name === 'desync') return versionOfPackage(path, name) ?? 'unknown version';
  const words = path.endsWith('.cjs') ? [process.execPath, path] : [path];
  const argument = name === 'restic' ? 'version' : '--version';
  const [program = '', ...rest] = [...words, argument];
  const text = execFileSync(program, rest, { encoding: 'utf8', timeout: VERSION_TIMEOUT_MS });
  return (/\d+(?:\.\d+)+/.exec(text) ?? /\d+/.exec(text))?.[0] ?? 'unknown version';
}

/** desync does not tell its version; the change log of its package does. */
function versionOfPackage(path: string, name: string): string | undefined {
  const folder = join(dirname(dirname(realpathSync(path))), 'share', 'doc', name);
  try {
    const log = gunzipSync(readFileSync(join(folder, 'changelog.Debian.gz'))).toString('utf8');
    return /^\S+ \(([^)]+)\)/.exec(log)?.[1];
  } catch {
    return undefined;
  }
}
