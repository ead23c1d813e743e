/**
 * What profiles of Amazon's tools say of a place, besides credentials: `~/.aws/config`. Credentials are
 * the business of their library. Used when an S3 place is opened.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { LocationSettings } from '../location-settings.ts';

export interface S3Profile {
  readonly region?: string;
  readonly endpoint?: string;
}

const LONGEST = 1024 * 1024;

/** Name of the profile that was chosen, if one was. */
export function chosenProfile({ profile, environment }: LocationSettings): string | undefined {
  return profile ?? (environment.AWS_PROFILE || undefined);
}

/** A file that is not there says nothing. */
export async function readS3Profile(settings: LocationSettings): Promise<S3Profile> {
  const { environment } = settings;
  const folder = join(environment.HOME ?? homedir(), '.aws');
  let text: string;
  try {
    text = await readFile(environment.AWS_CONFIG_FILE || join(folder, 'config'), 'utf8');
  } catch {
    return {};
  }
  if (text.length > LONGEST) return {};
  const name = chosenProfile(settings) ?? 'default';
  const fields = fieldsOf(text, [name === 'default' ? 'default' : `profile ${name}`, name]);
  const { region, endpoint_url: endpoint } = fields;
  return { ...(region ? { region } : {}), ...(endpoint ? { endpoint } : {}) };
}

/** The fields of the first section that has one of the names; those of sections within it are skipped. */
function fieldsOf(text: string, names: readonly string[]): Readonly<Record<string, string>> {
  const sections = new Map<string, Record<string, string>>();
  let fields: Record<string, string> = {};
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1].replace(/\s+/g, ' ');
    if (section !== undefined) {
      fields = sections.get(section) ?? {};
      sections.set(section, fields);
      continue;
    }
    const [, field, value] = /^([A-Za-z_]+)\s*=\s*(.*?)\s*(?:[#;].*)?$/.exec(line) ?? [];
    if (field !== undefined) fields[field] = value;
  }
  const found = names.find((name) => sections.has(name));
  return (found === undefined ? undefined : sections.get(found)) ?? {};
}
