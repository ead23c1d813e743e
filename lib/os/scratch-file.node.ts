/** Files for what memory cannot hold, in the folder for temporary files. Used by seeds. */
import { randomBytes } from 'node:crypto';
import { constants, openSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { systemFailure } from './system-error.node.ts';

const VARIABLES = ['TMPDIR', 'TEMP', 'TMP'] as const;
const DEFAULT_FOLDER = '/var/tmp';
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants;
const MODE = 0o600;

/** The folder for temporary files that the environment names, if it names a usable one. */
export function scratchFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string {
  // Whoever started us with the rights of another user may not choose where these are used.
  if (process.getuid?.() !== process.geteuid?.()) return DEFAULT_FOLDER;
  const named = VARIABLES.map((name) => environment[name] ?? '');
  return named.find(isUsable) ?? DEFAULT_FOLDER;
}

function isUsable(path: string): boolean {
  if (!path.startsWith('/') || path.split('/').includes('..')) return false;
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/**
 * A new file without a name: it is gone when its descriptor is closed, whatever happens.
 * @param folder of {@link scratchFolder}
 * @throws PipelineError
 */
export function openScratchFile(folder: string): number {
  const path = join(folder, `.casync-${randomBytes(8).toString('hex')}`);
  try {
    const descriptor = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, MODE);
    unlinkSync(path);
    return descriptor;
  } catch (error) {
    throw systemFailure('create scratch file', error, path);
  }
}
