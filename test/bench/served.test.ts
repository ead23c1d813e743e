/** Processes that serve: ready, measured, ended; nothing of them is left, however they behave. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Command, MeasureOptions } from '../../bench/measure.ts';
import { startServing } from '../../bench/served.ts';
import { until } from '../helpers/mounted.ts';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const NEEDS = { root: true, commands: ['mount', 'umount', 'setpriv'] };

function mountPoint(t: ExecutionContext): string {
  const path = join(temporaryFolder(t), 'mount');
  mkdirSync(path);
  return path;
}

function isMounted(path: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${path} `);
}

function start(t: ExecutionContext, path: string, script: string, signal?: AbortSignal) {
  const command: Command = { words: ['bash', '-c', script, 'bash', path] };
  const options: MeasureOptions = {
    meter: 'proc',
    scratch: join(temporaryFolder(t), 'usage'),
    signal: signal ?? new AbortController().signal,
  };
  return startServing(command, { kind: 'mount', path }, options);
}

const MOUNT = 'mount -t tmpfs test "$1"';

test('a service is measured and ended, and unmounts', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const path = mountPoint(t);
  const script = `trap 'umount "$1"; exit 0' TERM; ${MOUNT}; while :; do read -t 1 < <(:); done`;
  const serving = await start(t, path, script);
  t.true(isMounted(path));
  const { userSeconds, systemSeconds, peakMemoryBytes } = serving.usage();
  t.true(userSeconds >= 0 && systemSeconds >= 0 && peakMemoryBytes > 500_000);
  await serving.stop();
  t.false(isMounted(path));
  t.throws(() => serving.usage());
});

test('a mount that is left is an error, and gone', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const path = mountPoint(t);
  const serving = await start(t, path, `${MOUNT}; exec sleep 99`);
  await t.throwsAsync(serving.stop(), { message: /left its mount/ });
  t.false(isMounted(path));
});

test('what a service has started ends with it', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const path = mountPoint(t);
  const script = `sleep 99 & child=$!; trap 'umount "$1"; exit' TERM; echo $child > "$1.pid"; ${MOUNT}; wait`;
  const serving = await start(t, path, script);
  await serving.stop();
  const child = Number(readFileSync(`${path}.pid`, 'ascii'));
  // A process that was killed closes its files, for which `stop` has waited, before it is dead.
  await t.notThrowsAsync(until(() => isDead(child), 'the end of the child'));
});

/** It may still wait to be collected by its new parent. */
function isDead(pid: number): boolean {
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}

test('a service that ends at once is an error with its own words', async (t) => {
  if (!requirement(t, NEEDS)) return;
  await t.throwsAsync(start(t, mountPoint(t), 'echo no such luck >&2; exit 3'), {
    message: /-> 3: no such luck$/,
  });
});

test('an interrupt ends a service that is not ready', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const path = mountPoint(t);
  const interruption = Object.assign(new Error('interrupted'), { name: 'AbortError' });
  const abort = new AbortController();
  const starting = start(t, path, 'exec sleep 99', abort.signal);
  abort.abort(interruption);
  await t.throwsAsync(starting, { name: 'AbortError' });
  t.false(isMounted(path));
});
