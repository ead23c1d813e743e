/** Running programs as an ordinary user from tests that run as root. */
import { spawnSync } from 'node:child_process';
import { findCommand, type Requirements } from './requirements.ts';
import { CASYNC } from './run-casync.ts';

/** Number of a user and of a group that own nothing. */
export const ORDINARY_USER = 65534;

/** Words put in front of a command. */
export const AS_ORDINARY_USER: readonly string[] = [
  ...['setpriv', `--reuid=${ORDINARY_USER}`, `--regid=${ORDINARY_USER}`, '--clear-groups'],
];

/** What it takes: root to begin with, and a checkout that others may read. */
export function ordinaryUserNeeds(): Requirements {
  const [file, ...words] = AS_ORDINARY_USER;
  const canRead = (path: string): boolean =>
    findCommand(file) === undefined || spawnSync(file, [...words, 'test', '-r', path]).status === 0;
  return {
    root: true,
    commands: [file],
    conditions: {
      'a checkout that other users may read': canRead(CASYNC),
      'a Node that other users may run': canRead(process.execPath),
    },
  };
}
