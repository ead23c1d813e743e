/** Paths that have come over a session. */
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { escapeBytes } from '../../../formats/escape.ts';
import { PipelineError } from '../../errors.ts';

/**
 * As the user means it: from the folder where he arrives, `~` for his home.
 * @throws PipelineError `USAGE` for what is no UTF-8
 */
export function farPath(bytes: Uint8Array): string {
  let path: string;
  try {
    path = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new PipelineError('USAGE', { subject: escapeBytes(bytes), reason: 'must be UTF-8' });
  }
  if (path === '~' || path.startsWith('~/')) return join(homedir(), path.slice(1));
  // A leading colon or scheme means nothing here: it is always a path.
  return path.startsWith('/') ? path : `./${path}`;
}

/**
 * Where a file of that name goes: into the folder, if there is one.
 * @throws PipelineError `USAGE` if a folder is meant and there is none, or there is no name for in it
 */
export function placeOf(path: string, name: string | undefined): string {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (!isFolder && !path.endsWith('/')) return path;
  if (!isFolder) throw new PipelineError('USAGE', { subject: path, reason: 'no such directory' });
  if (name !== undefined && name === basename(name) && name !== '..' && name !== '.') {
    return join(path, name);
  }
  throw new PipelineError('USAGE', {
    subject: path,
    reason: 'a directory; the source has no name',
  });
}
