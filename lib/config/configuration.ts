/**
 * The values of a configuration file as settings of places, checked key by key (spec/remote.md,
 * "Settings"). How files are found and read is in read-configuration.node.ts.
 */
import { PipelineError } from '../errors.ts';
import {
  DEFAULT_ROWS,
  type DefaultFields,
  type FieldRow,
  LOCATION_ROWS,
  type LocationFields,
} from './fields.ts';
import type { KeyPath } from './key-lines.ts';
import { type LocationPattern, parseLocationPattern } from './location-pattern.ts';

export interface ConfiguredLocation {
  /** As it is written. */
  readonly match: string;
  readonly pattern: LocationPattern;
  /** Absolute path of the file that says it. */
  readonly file: string;
  readonly fields: LocationFields;
  /** Paths of files that hold values. */
  readonly files: Partial<Readonly<Record<keyof LocationFields, string>>>;
}

export interface Configuration {
  /** Paths of what was read, in the order of precedence. */
  readonly files: readonly string[];
  readonly defaults: DefaultFields;
  /** Those that win come last. */
  readonly locations: readonly ConfiguredLocation[];
}

export const EMPTY_CONFIGURATION: Configuration = { files: [], defaults: {}, locations: [] };

export interface ParseOptions {
  /** Absolute path of the file, for messages. */
  readonly file: string;
  readonly lineOf: (path: KeyPath) => number | undefined;
  /** Makes the relative path of a file absolute. */
  readonly resolvePath: (path: string) => string;
  /** The same for what may also be a URL. */
  readonly resolveLocator: (locator: string) => string;
}

type Table = Readonly<Record<string, unknown>>;

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param value of the whole file @throws PipelineError `USAGE` with file, line and key */
export function parseConfiguration(value: unknown, options: ParseOptions): Configuration {
  const parser = new Parser(options);
  return parser.parse(value);
}

class Parser {
  readonly #options: ParseOptions;

  constructor(options: ParseOptions) {
    this.#options = options;
  }

  parse(value: unknown): Configuration {
    const { file } = this.#options;
    if (!isTable(value)) throw this.#refusal([], 'expected a table of keys and values');
    const { location, ...rest } = value;
    const { fields } = this.#read<DefaultFields>(rest, DEFAULT_ROWS, []);
    const tables = location ?? [];
    if (!Array.isArray(tables)) {
      throw this.#refusal(['location'], 'expected tables: write [[location]]');
    }
    const locations = tables.map((table: unknown, i) => this.#location(table, i));
    return { files: [file], defaults: fields, locations: inOrder(locations) };
  }

  #location(table: unknown, i: number): ConfiguredLocation {
    const path = ['location', i];
    if (!isTable(table)) throw this.#refusal(path, 'expected a table');
    const { match, ...rest } = table;
    const pattern = typeof match === 'string' ? parseLocationPattern(match) : undefined;
    if (typeof match !== 'string' || pattern === undefined) {
      const expected = 'expected a pattern such as "https://*.example.org/**"';
      throw this.#refusal([...path, 'match'], expected);
    }
    const { file } = this.#options;
    return { match, pattern, file, ...this.#read<LocationFields>(rest, LOCATION_ROWS, path) };
  }

  #read<Fields extends object>(
    table: Table,
    rows: readonly FieldRow<keyof Fields & string>[],
    path: KeyPath,
  ): { readonly fields: Fields; readonly files: Partial<Record<keyof Fields, string>> } {
    const fields: Record<string, unknown> = {};
    const files: Record<string, string> = {};
    for (const [key, value] of Object.entries(table)) {
      const row = rows.find((candidate) => candidate.key === key);
      if (row === undefined) throw this.#refusal([...path, key], 'unknown key');
      const read = row.read(value);
      if (read === undefined) throw this.#refusal([...path, key], `expected ${row.expected}`);
      if (row.field in fields || row.field in files) {
        throw this.#refusal([...path, key], 'the same is said twice');
      }
      if (row.meaning === 'file') files[row.field] = this.#options.resolvePath(String(read));
      else fields[row.field] = this.#resolved(read, row.meaning);
    }
    // The rows have read them, each as the type of its field.
    return { fields: fields as Fields, files: files as Partial<Record<keyof Fields, string>> };
  }

  #resolved(value: unknown, meaning: FieldRow<string>['meaning']): unknown {
    const { resolvePath, resolveLocator } = this.#options;
    if (meaning === 'path') return resolvePath(String(value));
    if (meaning !== 'locator') return value;
    return Array.isArray(value) ? value.map(resolveLocator) : resolveLocator(String(value));
  }

  #refusal(path: KeyPath, reason: string): PipelineError {
    const line = this.#options.lineOf(path);
    const { file } = this.#options;
    const key = path.filter((part) => typeof part === 'string').join('.');
    return new PipelineError('USAGE', {
      subject: line === undefined ? file : `${file}:${line}`,
      reason,
      ...(key === '' ? {} : { step: printable(key) }),
    });
  }
}

/** Keys come from outside, too. */
function printable(key: string): string {
  return JSON.stringify(key.slice(0, 200)).slice(1, -1);
}

function inOrder(locations: readonly ConfiguredLocation[]): readonly ConfiguredLocation[] {
  return [...locations].sort((a, b) => a.pattern.weight - b.pattern.weight);
}

/** Two files as one. @param weaker what holds where the other says nothing */
export function joinConfigurations(stronger: Configuration, weaker: Configuration): Configuration {
  return {
    files: [...stronger.files, ...weaker.files],
    defaults: { ...weaker.defaults, ...stronger.defaults },
    locations: inOrder([...weaker.locations, ...stronger.locations]),
  };
}

/** All that is said of a place, and in which files values of it are. */
export function fieldsFor(
  { locations, defaults }: Configuration,
  locator: string,
): Pick<ConfiguredLocation, 'fields' | 'files'> {
  const { rateLimit } = defaults;
  let fields: LocationFields = rateLimit === undefined ? {} : { rateLimit };
  let files: ConfiguredLocation['files'] = {};
  for (const location of locations) {
    if (!location.pattern.matches(locator)) continue;
    const replaced = replacedBy(location);
    fields = { ...without(fields, replaced), ...location.fields };
    files = { ...without(files, replaced), ...location.files };
  }
  return { fields, files };
}

/** Who says how to log in somewhere says all of it: two kinds of it are never mixed. */
const CREDENTIALS: readonly (readonly (keyof LocationFields)[])[] = [
  ['user', 'password', 'token'],
  ['profile', 'accessKeyId', 'secretAccessKey', 'sessionToken'],
  ['clientCertificate', 'clientKey'],
];

function replacedBy({ fields, files }: ConfiguredLocation): readonly string[] {
  const said = [...Object.keys(fields), ...Object.keys(files)];
  return CREDENTIALS.filter((group) => group.some((field) => said.includes(field))).flat();
}

function without<T extends object>(object: T, keys: readonly string[]): T {
  const kept = Object.entries(object).filter(([key]) => !keys.includes(key));
  return Object.fromEntries(kept) as T;
}
