/** Where the map of a destination is if nobody says so (spec/images.md, "Where maps are"). */
import { createHash } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { bindingOf } from './binding.node.ts';
import type { OpenedDestination } from './opened-destination.ts';

const SUFFIX = '.caibx';
const SYSTEM_FOLDER = '/var/lib/casync/maps';
const LONGEST_NAME = 80;

/** @param map as an option says it: `auto`, `none` or a path @returns undefined for none */
export function mapPathOf(
  map: string,
  destination: OpenedDestination,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  if (map === 'none') return undefined;
  if (map !== 'auto') return map;
  if (destination.kind === 'file') return destination.path + SUFFIX;
  return join(mapFolder(environment), nameOf(bindingOf(destination).identity) + SUFFIX);
}

function mapFolder(environment: Readonly<Record<string, string | undefined>>): string {
  if (process.geteuid?.() === 0) return SYSTEM_FOLDER;
  const state = environment.XDG_STATE_HOME || join(homedir(), '.local/state');
  return join(state, 'casync/maps');
}

/** Readable, and another one for every identity. */
function nameOf(identity: string): string {
  const readable = identity.replace(/[^\w.-]+/g, '-').slice(0, LONGEST_NAME);
  const digits = createHash('sha256').update(identity).digest('hex').slice(0, 12);
  return `${readable}-${digits}`;
}
