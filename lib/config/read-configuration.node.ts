/** Finds and reads configuration files (spec/remote.md, "Settings"). Loaded only if there is one. */
import { readFileSync, statSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { classifyLocator } from '../../store/location.ts';
import { PipelineError } from '../errors.ts';
import { systemFailure } from '../os/system-error.node.ts';
import {
  type Configuration,
  EMPTY_CONFIGURATION,
  joinConfigurations,
  parseConfiguration,
} from './configuration.ts';
import { LOCATION_ROWS } from './fields.ts';
import { lineOfKey } from './key-lines.ts';

const MAX_SIZE = 1024 * 1024;
const READABLE_BY_OTHERS = 0o044;

export interface ReadConfigurationOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told of a file with secrets that others can read. */
  readonly onWarning: (message: string) => void;
}

/**
 * @param files paths, those that win first
 * @throws PipelineError with file, line and key
 */
export async function readConfigurations(
  files: readonly string[],
  options: ReadConfigurationOptions,
): Promise<Configuration> {
  let configuration = EMPTY_CONFIGURATION;
  for (const file of files) {
    configuration = joinConfigurations(configuration, await readOne(resolve(file), options));
  }
  return configuration;
}

async function readOne(file: string, options: ReadConfigurationOptions): Promise<Configuration> {
  const { environment, onWarning } = options;
  const isJson = basename(file).endsWith('.json');
  const source = readText(file);
  const value = isJson ? parseJson(source, file) : await parseToml(source, file);
  const resolvePath = (path: string): string => resolvedPath(path, dirname(file), environment);
  const configuration = parseConfiguration(value, {
    file,
    lineOf: (path) => lineOfKey(source, path, isJson),
    resolvePath,
    resolveLocator(locator) {
      const classified = classifyLocator(locator);
      return classified.kind === 'path' ? resolvePath(classified.path) : locator;
    },
  });
  if (hasSecrets(configuration)) warnIfShared(file, onWarning);
  return configuration;
}

function readText(file: string): string {
  try {
    const { size } = statSync(file);
    if (size <= MAX_SIZE) return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
  const reason = `more than ${MAX_SIZE} bytes`;
  throw new PipelineError('USAGE', { subject: file, reason });
}

/** What is wrong with the settings is wrong usage, whatever the system says. */
export function unreadable(file: string, error: unknown): PipelineError {
  const { reason } = systemFailure('', error);
  return new PipelineError('USAGE', {
    subject: file,
    step: 'Failed to read',
    reason,
    cause: error,
  });
}

/** Messages of parsers may show what stands in the file: they are not passed on as they are. */
function parseJson(source: string, file: string): unknown {
  if (source.trim() === '') return {};
  try {
    return JSON.parse(source);
  } catch (error) {
    const offset = /at position (\d+)/.exec(String(error))?.[1];
    const line = offset && source.slice(0, Number(offset)).split('\n').length;
    const subject = line === undefined ? file : `${file}:${line}`;
    throw new PipelineError('USAGE', { subject, reason: 'not valid JSON' });
  }
}

async function parseToml(source: string, file: string): Promise<unknown> {
  const { parse, TomlError } = await import('smol-toml');
  try {
    return parse(source);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [first] = error.message.split('\n', 1);
    const reason = `not valid TOML: ${first.replace(/^Invalid TOML document: /, '')}`;
    throw new PipelineError('USAGE', { subject: `${file}:${error.line}`, reason });
  }
}

function resolvedPath(
  path: string,
  folder: string,
  { HOME }: Readonly<Record<string, string | undefined>>,
): string {
  if (path.startsWith('~/') && HOME) return join(HOME, path.slice('~/'.length));
  return isAbsolute(path) ? path : join(folder, path);
}

function hasSecrets({ locations }: Configuration): boolean {
  const secrets = LOCATION_ROWS.filter(({ isSecret }) => isSecret).map(({ field }) => field);
  return locations.some(
    ({ fields }) =>
      secrets.some((field) => fields[field] !== undefined) || fields.proxy?.includes('@') === true,
  );
}

/** Does nothing if the file cannot be looked at: whoever reads it says why. */
export function warnIfShared(file: string, onWarning: (message: string) => void): void {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & READABLE_BY_OTHERS) === 0) return;
  onWarning(`${file}: Others can read the secrets in it (chmod 600).`);
}
