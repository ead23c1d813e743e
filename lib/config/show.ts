/** Settings as they may be shown: by the keys of a configuration file, with `***` for secrets. */
import { redacted } from '../../store/location.ts';
import type { ConfiguredLocation } from './configuration.ts';
import { DEFAULT_ROWS, type DefaultFields, LOCATION_ROWS, type LocationFields } from './fields.ts';

const HIDDEN = '***';

/** Written alike in JSON and TOML, but for tables. */
export type ShownValue =
  | string
  | number
  | boolean
  | readonly string[]
  | Readonly<Record<string, string>>;
export type Shown = Readonly<Record<string, ShownValue>>;

export function shownDefaults(defaults: DefaultFields): Shown {
  const shown: Record<string, ShownValue> = {};
  for (const { key, field, meaning } of DEFAULT_ROWS) {
    const value = defaults[field];
    if (value === undefined) continue;
    if (typeof value === 'object') shown[key] = value.map(redacted);
    else shown[key] = meaning === 'locator' ? redacted(String(value)) : value;
  }
  return shown;
}

/** What is known of a place. */
export function shownFields(
  fields: LocationFields,
  files: ConfiguredLocation['files'] = {},
): Shown {
  const shown: Record<string, ShownValue> = {};
  for (const { key, field, meaning, isSecret } of LOCATION_ROWS) {
    const value = meaning === 'file' ? files[field] : fields[field];
    if (value === undefined) continue;
    if (key === 'timeout') shown[key] = Number(value) / 1000;
    else shown[key] = isSecret ? hidden(value) : withoutCredentials(value);
  }
  return shown;
}

/** Names of headers are not secret. */
function hidden(value: ShownValue): ShownValue {
  if (typeof value !== 'object' || Array.isArray(value)) return HIDDEN;
  return Object.fromEntries(Object.keys(value).map((name) => [name, HIDDEN]));
}

/** Of the URL of a proxy or service. */
function withoutCredentials(value: ShownValue): ShownValue {
  if (typeof value !== 'string') return value;
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, `$1${HIDDEN}@`);
}
