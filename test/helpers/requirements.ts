/**
 * What a test needs from the machine. A test whose needs are not met says so and does nothing; with
 * `CI` set it fails instead, so that nothing is silently left out there.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { ExecutionContext } from 'ava';

export interface Requirements {
  /** The test must run as the superuser, with the rights that containers often take away. */
  readonly root?: boolean;
  /** Programs that must be found in PATH. */
  readonly commands?: readonly string[];
  /** Any other condition, with what is missing where it is false. */
  readonly conditions?: Readonly<Record<string, boolean>>;
}

// Tools for file systems are often kept where ordinary users do not look.
process.env.PATH = [process.env.PATH ?? '', '/usr/sbin', '/sbin'].join(delimiter);

/** Full path of a program in PATH, undefined if there is none. */
export function findCommand(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** Numbers of the capabilities to change owners and flags, mount, and make devices. */
const CAPABILITIES = [0, 9, 21, 27, 31];

function isFullRoot(): boolean {
  if (process.getuid?.() !== 0) return false;
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'ascii'));
  const mask = BigInt(`0x${effective?.[1] ?? '0'}`);
  return CAPABILITIES.every((number) => ((mask >> BigInt(number)) & 1n) === 1n);
}

/** Everything of `needs` that this machine lacks, in words. */
export function missingRequirements(needs: Requirements): readonly string[] {
  const missing: string[] = [];
  if (needs.root === true && !isFullRoot()) missing.push('root with all capabilities');
  for (const name of needs.commands ?? []) {
    if (findCommand(name) === undefined) missing.push(`the program ${name}`);
  }
  for (const [text, met] of Object.entries(needs.conditions ?? {})) if (!met) missing.push(text);
  return missing;
}

/**
 * First line of a test with needs: `if (!requirement(t, { root: true })) return;`
 * @returns whether the test can run. If not, the test has been told: skipped with the reason in its
 * log, or failed under CI.
 */
export function requirement(t: ExecutionContext, needs: Requirements): boolean {
  const missing = missingRequirements(needs);
  if (missing.length === 0) return true;
  const reason = `needs ${missing.join(', ')}`;
  const underCi =
    process.env.CI !== undefined && process.env.CI !== '' && process.env.CI !== 'false';
  if (underCi) t.fail(reason);
  else {
    t.log(`SKIPPED: ${t.title}: ${reason}`);
    t.pass();
  }
  return false;
}
