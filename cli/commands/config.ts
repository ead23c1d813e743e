/** `config [LOCATOR]` (spec/remote.md, "Settings"): the settings in effect, without secrets. */
import { type Shown, type ShownValue, shownDefaults, shownFields } from '../../lib/config/show.ts';
import { redacted } from '../../store/location.ts';
import type { Context } from '../context.ts';
import { jsonLine } from '../json-text.ts';

interface ShownLocation {
  readonly match: string;
  readonly file: string;
  readonly settings: Shown;
}

/** As TOML, so that it can be put into a file. */
function lineOf([key, value]: readonly [string, ShownValue]): string {
  return `${key} = ${tomlOf(value)}\n`;
}

function tomlOf(value: ShownValue): string {
  if (typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((each) => JSON.stringify(each)).join(', ')}]`;
  const entries = Object.entries(value).map(([name, each]) => {
    return `${JSON.stringify(name)} = ${JSON.stringify(each)}`;
  });
  return `{ ${entries.join(', ')} }`;
}

function linesOf(shown: Shown): string {
  return Object.entries(shown).map(lineOf).join('');
}

function locationText({ match, file, settings }: ShownLocation): string {
  return `\n# ${file}\n[[location]]\n${linesOf({ match, ...settings })}`;
}

function filesText(files: readonly string[]): string {
  return files.length === 0 ? '# no files\n' : files.map((file) => `# ${file}\n`).join('');
}

export async function config(words: readonly string[], context: Context): Promise<void> {
  const { options, settings, stdout } = context;
  const { files, defaults, locations } = settings.configuration;
  const [locator] = words;
  if (locator !== undefined) {
    const shown = shownFields(settings.settingsFor(locator));
    const result = { locator: redacted(locator), files, settings: shown };
    stdout.write(options.json ? jsonLine(result) : filesText(files) + linesOf(shown));
    return;
  }
  const shown = shownDefaults(defaults);
  // The ones that win first, as they are looked for.
  const tables = locations.toReversed().map(({ match, file, fields, files }) => {
    return { match, file, settings: shownFields(fields, files) };
  });
  const result = { files, defaults: shown, locations: tables };
  const text = filesText(files) + linesOf(shown) + tables.map(locationText).join('');
  stdout.write(options.json ? jsonLine(result) : text);
}
