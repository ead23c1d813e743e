/**
 * The settings of places for one run: options, environment and configuration files together
 * (spec/remote.md, "Settings"). Where there are no files, looking for them is all it costs.
 */
import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Configuration } from '../lib/config/configuration.ts';
import type { LocationFields } from '../lib/config/fields.ts';
import type { LocationSettings } from '../store/location-settings.ts';
import { commandWords } from '../store/peer/ssh-command.node.ts';
import type { RetryEvent } from '../store/wrap/retry.ts';
import type { Options } from './options.ts';

type LocationSettingsPart = Omit<LocationSettings, 'environment'>;
type Environment = Readonly<Record<string, string | undefined>>;

const SYSTEM_FOLDER = '/etc/casync';
const NAMES = ['casync.toml', 'casync.json'];

export interface Settings {
  readonly configuration: Configuration;
  /** @throws PipelineError `USAGE` if a file with a secret cannot be read */
  readonly settingsFor: (locator: string) => LocationSettings;
}

export interface SettingsEvents {
  readonly warn: (message: string) => void;
  readonly inform: (message: string) => void;
}

/** Paths of the configuration files, those that win first. */
function configurationFiles(named: string | undefined, env: Environment): readonly string[] {
  const explicit = named ?? (env.CASYNC_CONFIG || undefined);
  if (explicit !== undefined) return explicit === '' ? [] : [explicit];
  const { XDG_CONFIG_HOME, HOME } = env;
  const home = HOME ? join(HOME, '.config') : undefined;
  const own = XDG_CONFIG_HOME && isAbsolute(XDG_CONFIG_HOME) ? XDG_CONFIG_HOME : home;
  const folders = [...(own === undefined ? [] : [join(own, 'casync')]), SYSTEM_FOLDER];
  return folders.flatMap((folder) => {
    const found = NAMES.map((name) => join(folder, name)).find((path) => existsSync(path));
    return found === undefined ? [] : [found];
  });
}

/** @throws PipelineError `USAGE` if a configuration file is wrong or cannot be read */
export async function openSettings(
  options: Options,
  environment: Environment,
  events: SettingsEvents,
): Promise<Settings> {
  const { warn } = events;
  const files = configurationFiles(options.config, environment);
  let configuration: Configuration = { files: [], defaults: {}, locations: [] };
  let fieldsOf = (_locator: string): LocationFields => ({});
  if (files.length > 0) {
    const { configuredFields, readConfigurations } = await import(
      '../lib/config/location-settings.node.ts'
    );
    configuration = await readConfigurations(files, { environment, onWarning: warn });
    fieldsOf = (locator) => configuredFields(configuration, locator, warn);
  }
  const known = new Map<string, LocationSettings>();
  const settingsFor = (locator: string): LocationSettings => {
    const before = known.get(locator);
    if (before !== undefined) return before;
    const settings = {
      environment,
      ...fieldsOf(locator),
      ...overrides(options, environment),
      ...(options.isLogLevelChosen && { logLevel: options.logLevel }),
      onRetry: (event: RetryEvent) => events.inform(retryText(event)),
    };
    known.set(locator, settings);
    return settings;
  };
  return { configuration, settingsFor };
}

/** What wins over the files. */
function overrides(options: Options, environment: Environment): LocationSettingsPart {
  const { rateLimitBps, ssh, remotePath } = options;
  const { CASYNC_SSH_PATH: sshProgram, CASYNC_REMOTE_PATH: remoteProgram } = environment;
  return {
    ...(sshProgram ? { sshProgram } : {}),
    ...(remoteProgram ? { remoteProgram } : {}),
    ...(rateLimitBps === undefined ? {} : { rateLimit: rateLimitBps }),
    ...sshCommand(ssh),
    ...remoteCommand(remotePath),
  };
}

/** @throws CasError `USAGE` */
function sshCommand(text: string | undefined): LocationSettingsPart {
  if (text === undefined) return {};
  const [sshProgram, ...sshArguments] = commandWords(text);
  return { sshProgram, sshArguments };
}

/** @throws CasError `USAGE` */
function remoteCommand(text: string | undefined): LocationSettingsPart {
  if (text === undefined) return {};
  const [remoteProgram, ...remoteArguments] = commandWords(text);
  return { remoteProgram, remoteArguments };
}

function retryText({ error, delayMs }: RetryEvent): string {
  return `${error.message}, retrying in ${delayMs} ms`;
}
