/** Programs in the place of ssh that run the words here, for tests of what is spoken over it. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { classifyLocator } from '../../store/location.ts';
import type { LocationSettings } from '../../store/location-settings.ts';
import type { PeerLocator } from '../../store/peer/peer-place.node.ts';

/** An executable shell script. @returns its path */
export function writeScript(folder: string, name: string, lines: readonly string[]): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Settings with which any host is `folder`, and its casync is `program`. */
export function settingsOfFakeSsh(
  folder: string,
  program = 'casync',
  environment: Readonly<Record<string, string | undefined>> = process.env,
): LocationSettings {
  const sshProgram = writeScript(folder, 'ssh', ['shift', `cd '${folder}'`, 'exec "$@"']);
  return { environment, sshProgram, remoteProgram: program };
}

/** The locator of a place elsewhere. */
export function peerAt(word: string): PeerLocator {
  const locator = classifyLocator(word);
  if (locator.kind === 'path') throw new Error(`${word} is no place elsewhere`);
  return locator;
}
