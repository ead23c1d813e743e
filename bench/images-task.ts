/** What a task of `npm run bench:images` is, and what its commands have made and moved. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from './measure.ts';

/** Where one contestant works. */
export interface ImagePlace {
  /** Empty before each round. */
  readonly folder: string;
  /** Paths of the images, which must stay as they are. */
  readonly a: string;
  readonly b: string;
  /** A loop device over a copy of A, for tasks that write to one. */
  readonly device?: string;
}

export interface ImageContestant {
  readonly name: string;
  /** Name of the program, looked for in PATH. */
  readonly program: 'casync' | 'rsync' | 'rdiff' | 'rdiff-backup' | 'bmaptool' | 'borg' | 'restic';
  /** Not measured. */
  prepare(place: ImagePlace, path: string): readonly Command[];
  /** Measured together. */
  run(place: ImagePlace, path: string): readonly Command[];
  /** Path of what must equal an image in the end. */
  result?(place: ImagePlace): { readonly path: string; readonly equals: 'a' | 'b' };
  /** Bytes that the task has made, where that says something; files or folders to be summed. */
  made?(place: ImagePlace): readonly string[];
}

export interface ImageTask {
  readonly name: string;
  readonly title: string;
  /** What the column of made bytes means. */
  readonly madeTitle?: string;
  readonly needsDevice?: boolean;
  readonly contestants: readonly ImageContestant[];
}

/** Makes commands that run in a folder and know nothing of the user's own settings. */
export function command(cwd: string) {
  const env = {
    ...(process.env as Record<string, string>),
    HOME: cwd,
    XDG_CONFIG_HOME: join(cwd, '.config'),
    XDG_STATE_HOME: join(cwd, '.state'),
    RESTIC_PASSWORD: 'bench',
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
  };
  return (...words: readonly string[]): Command => ({ words, cwd, env });
}

/** Bytes of files and of all files in folders; those that are not there have none. */
export function bytesOf(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + (existsSync(path) ? bytesBelow(path) : 0), 0);
}

function bytesBelow(path: string): number {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.size;
  return bytesOf(readdirSync(path).map((name) => join(path, name)));
}

/** What the system calls of a command have moved, by a file with lines of /proc/PID/io. */
export function movedBytes(path: string): { readonly read: number; readonly written: number } {
  const text = readFileSync(path, 'ascii');
  const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  return { read: field('rchar'), written: field('wchar') };
}
