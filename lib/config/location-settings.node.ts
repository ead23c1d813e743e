/** What configuration files say of a place (spec/remote.md, "Settings"). Loaded only if there is one. */
import { readFileSync } from 'node:fs';
import { PipelineError } from '../errors.ts';
import { type Configuration, fieldsFor } from './configuration.ts';
import type { LocationFields } from './fields.ts';
import { unreadable, warnIfShared } from './read-configuration.node.ts';

export { readConfigurations } from './read-configuration.node.ts';

const MAX_SECRET_SIZE = 64 * 1024;

/**
 * What files and environment say of a place; values that are in files of their own are read.
 * @throws PipelineError if such a file cannot be read
 */
export function configuredFields(
  configuration: Configuration,
  locator: string,
  onWarning: (message: string) => void,
): LocationFields {
  const { fields, files } = fieldsFor(configuration, locator);
  const read = Object.entries(files).map(([field, file]) => {
    const secret = readSecret(file);
    warnIfShared(file, onWarning);
    return [field, secret];
  });
  return { ...fields, ...Object.fromEntries(read) };
}

/** The first line of a file. */
function readSecret(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
  const secret = text.replace(/\r?\n$/, '');
  const isGood = secret !== '' && secret.length <= MAX_SECRET_SIZE && !/\p{Cc}/u.test(secret);
  if (isGood) return secret;
  throw new PipelineError('USAGE', { subject: file, reason: 'expected one line of text' });
}
