/** Folders for tests: made on demand, removed after the test whatever the test left in them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** A new empty folder; the caller removes it with {@link removeTree}. */
export function makeTemporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'casync-test-'));
}

/** Removes a tree, also one with immutable, append-only or unreadable parts. */
export function removeTree(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // Both complain about nodes they do not apply to; what matters is whether removal works then.
    spawnSync('chattr', ['-R', '-f', '-i', '-a', path], { stdio: 'ignore' });
    spawnSync('chmod', ['-R', 'u+rwx', path], { stdio: 'ignore' });
    rmSync(path, { recursive: true, force: true });
  }
}

/** A new empty folder that is removed when the test is over. */
export function temporaryFolder(t: ExecutionContext<unknown>): string {
  const path = makeTemporaryFolder();
  t.teardown(() => removeTree(path));
  return path;
}
