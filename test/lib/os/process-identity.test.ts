import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import test from 'ava';
import {
  isProcessAlive,
  type ProcessIdentity,
  processIdentity,
  processStartedAt,
} from '../../../lib/os/process-identity.node.ts';

function startOf(processId: number): string {
  const text = readFileSync(`/proc/${processId}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

test('this process lives, and another run of its number does not', (t) => {
  t.true(isProcessAlive(processIdentity()));
  t.false(isProcessAlive({ ...processIdentity(), processStart: '1' }));
});

test('a process is dead as soon as it has been killed, reaped or not', async (t) => {
  const child = spawn('sleep', ['100']);
  const processId = child.pid ?? 0;
  const identity: ProcessIdentity = {
    ...processIdentity(),
    processId,
    processStart: startOf(processId),
  };
  t.true(isProcessAlive(identity));
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.false(isProcessAlive(identity));
});

test('a process that nobody has waited for is dead', async (t) => {
  // The shell becomes a program that never waits for its child.
  const script = 'sleep 100 & echo $!; exec sleep 100';
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  const processId = Number(text.toString());
  const processStart = startOf(processId);
  process.kill(processId, 'SIGKILL');
  while (!/\) Z/.test(readFileSync(`/proc/${processId}/stat`, 'latin1'))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.false(isProcessAlive({ ...processIdentity(), processId, processStart }));
  child.kill();
});

test('nothing is said of processes that cannot be seen', (t) => {
  t.is(isProcessAlive({ ...processIdentity(), machine: 'elsewhere' }), undefined);
  t.is(isProcessAlive({ ...processIdentity(), machine: '' }), undefined);
});

test('a process has begun before its program, and not long before', (t) => {
  const earlierMs = performance.timeOrigin - processStartedAt().getTime();
  t.true(earlierMs >= 0, `${earlierMs}`);
  t.true(earlierMs < 60_000, `${earlierMs}`);
});
