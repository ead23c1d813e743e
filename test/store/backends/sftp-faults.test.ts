/** What the SFTP client makes of connections that break and servers that do not keep the rules. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { openSftpBackend, openSftpFile } from '../../../store/backends/sftp.node.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { remoteFileSuite } from '../../conformance/remote-file.ts';
import { noise, text } from '../../helpers/golden.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const FAULTY = join(import.meta.dirname, '..', '..', 'helpers', 'faulty-sftp.mjs');
const hasServer = existsSync('/usr/lib/openssh/sftp-server');
const NEEDS = { conditions: { 'sftp-server (openssh-sftp-server)': hasServer } };
const KEY = 'abcd/object.cacnk';

/** A program in the place of ssh, and what it takes to use it. */
function faulty(
  t: ExecutionContext,
  fault: string,
  more: Partial<LocationSettings> = {},
): LocationSettings {
  const folder = temporaryFolder(t);
  const sshProgram = join(folder, 'ssh');
  const log = `echo "$$" >> '${folder}/started'`;
  writeFileSync(sshProgram, `#!/bin/sh\n${log}\nexec '${process.execPath}' '${FAULTY}' ${fault}\n`);
  chmodSync(sshProgram, 0o755);
  return { environment: process.env, sshProgram, ...more };
}

/** Numbers of the processes that were started. */
function started({ sshProgram = '' }: LocationSettings): readonly number[] {
  const words = readFileSync(join(sshProgram, '..', 'started'), 'ascii')
    .trim()
    .split('\n');
  return words.map(Number);
}

/** A process that has ended and was waited for has no entry. */
function isThere(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

interface Place {
  readonly folder: string;
  readonly backend: ObjectBackend;
}

async function open(t: ExecutionContext, settings: LocationSettings): Promise<Place> {
  const folder = join(temporaryFolder(t), 'store');
  mkdirSync(join(folder, 'abcd'), { recursive: true });
  const backend = await openSftpBackend(`sftp://host${folder}`, settings);
  t.teardown(async () => {
    await backend.close();
    if (started(settings).some(isThere)) throw new Error('a process is left over');
  });
  return { folder, backend };
}

if (hasServer) {
  for (const fault of ['plain', 'short 777']) {
    backendSuite(`sftp, ${fault}`, async (t) => {
      const folder = join(temporaryFolder(t), 'store');
      const backend = await openSftpBackend(`sftp://host${folder}`, faulty(t, fault));
      t.teardown(() => backend.close());
      return backend;
    });
    remoteFileSuite(`sftp file, ${fault}`, async (t) => {
      const path = join(temporaryFolder(t), 'index');
      const file = await openSftpFile(`sftp://host${path}`, faulty(t, fault));
      t.teardown(() => file.close());
      return file;
    });
  }
}

for (const [fault, expectation] of Object.entries({
  refused: { code: 'UNAVAILABLE', retry: 'later', message: /status 255: ssh: connect .* refused$/ },
  denied: { code: 'DENIED', retry: 'never', message: /: \[31muser@h: Permission denied/ },
  'no-subsystem': { code: 'IO', retry: 'never', message: /subsystem request failed/ },
  greeting: { code: 'IO', retry: 'never', message: /no SFTP.*start-up file/ },
})) {
  test(`a connection that does not come about: ${fault}`, async (t) => {
    const settings = faulty(t, fault);
    const { backend } = await open(t, settings);
    const gets = Array.from({ length: 20 }, () => backend.get(KEY));
    for (const outcome of await Promise.allSettled(gets)) {
      t.is(outcome.status, 'rejected');
      if (outcome.status === 'fulfilled') continue;
      const { code, retry, message } = outcome.reason;
      t.is(code, expectation.code);
      t.is(retry, expectation.retry);
      t.regex(message, expectation.message);
      t.is(message, message.replace(/\p{Cc}/gu, ''));
    }
    t.is(started(settings).length, 1);
    await t.throwsAsync(backend.stat(KEY), { code: expectation.code });
    t.is(started(settings).length, 2);
  });
}

test('a program that is not there is no passing failure', async (t) => {
  const settings = { environment: {}, sshProgram: '/nonexistent/ssh' };
  const backend = await openSftpBackend('sftp://host/x', settings);
  const error = await t.throwsAsync(backend.get(KEY), { code: 'IO' });
  t.like(error, { retry: 'never' });
  t.regex(error?.message ?? '', /cannot run \/nonexistent\/ssh: No such file/);
  await backend.close();
});

test('a server that says nothing is given up after the timeout', async (t) => {
  const settings = faulty(t, 'silent', { timeoutMs: 300 });
  const { backend } = await open(t, settings);
  const error = await t.throwsAsync(backend.get(KEY), { code: 'UNAVAILABLE' });
  t.like(error, { retry: 'later' });
  t.regex(error?.message ?? '', /no answer within 300 ms/);
});

// Alone, for its time is measured.
test.serial('an answer that never comes ends all that waits', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const { backend } = await open(t, faulty(t, 'unanswered 2', { timeoutMs: 3000 }));
  await backend.put(KEY, noise(1000));
  const gets = await Promise.allSettled([backend.get(KEY), backend.get(KEY), backend.get(KEY)]);
  t.true(gets.some(({ status }) => status === 'rejected'));
  for (const get of gets) if (get.status === 'rejected') t.is(get.reason.code, 'UNAVAILABLE');
});

for (const fault of ['longer', 'lying', 'other-id', 'huge', 'other-type']) {
  test(`a server that breaks the rules is refused: ${fault}`, async (t) => {
    if (!requirement(t, NEEDS)) return;
    const { backend } = await open(t, faulty(t, `${fault} 1`));
    await backend.put(KEY, noise(1000));
    const into = new Uint8Array(2000).fill(0xee);
    const error = await t.throwsAsync(backend.get(KEY, { into }), { code: 'IO' });
    t.regex(error?.message ?? '', /no SFTP/);
    t.true(into.subarray(1000).every((byte) => byte === 0xee));
  });
}

test('an object that ends early is never taken for a whole one', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const { backend, folder } = await open(t, faulty(t, 'empty 2'));
  await backend.put(KEY, noise(600_000));
  // Reading begins again, as if the object had been replaced meanwhile.
  t.deepEqual(await backend.get(KEY), noise(600_000));
  const file = await openSftpFile(`sftp://host${folder}/${KEY}`, faulty(t, 'empty 2'));
  t.teardown(() => file.close());
  await t.throwsAsync(
    async () => {
      for await (const piece of file.read()) t.true(piece.length > 0);
    },
    { code: 'IO', message: /file ends before its 600000 bytes/ },
  );
});

test('a connection that is cut within an answer is passing, and is replaced', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const settings = faulty(t, 'cut 3');
  const { backend } = await open(t, settings);
  await backend.put(KEY, noise(1000));
  const gets = await Promise.allSettled(Array.from({ length: 5 }, () => backend.get(KEY)));
  const failures = gets.flatMap((get) => (get.status === 'rejected' ? [get.reason] : []));
  t.true(failures.length >= 3);
  for (const failure of failures) {
    t.like(failure, { code: 'UNAVAILABLE', retry: 'later' });
    t.regex(failure.message, /status 255: Connection to h closed by remote host\.$/);
  }
  t.deepEqual(await backend.get(KEY), noise(1000));
  t.is(started(settings).length, 2);
});

test('a process that does not heed signals is ended all the same', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const settings = faulty(t, 'deaf');
  const { backend } = await open(t, settings);
  await backend.put(KEY, text(5));
  await backend.close();
  t.false(isThere(started(settings)[0]));
  await t.throwsAsync(backend.get(KEY), { code: 'IO', message: /closed/ });
});

test('memory of the caller stays untouched after a signal', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const { backend } = await open(t, faulty(t, 'plain'));
  await backend.put(KEY, noise(3_000_000));
  for (let i = 0; i < 20; i++) {
    const controller = new AbortController();
    const { signal } = controller;
    const reason = new Error('stopped');
    const into = new Uint8Array(3_000_000);
    const outcome = Promise.allSettled([backend.get(KEY, { into, signal })]);
    await backend.stat(KEY);
    for (let turn = 0; turn < i; turn++) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    const [{ status }] = await outcome;
    const before = into.slice();
    await backend.stat(KEY);
    await backend.stat(KEY);
    if (status === 'rejected') t.true(Buffer.from(before).equals(into));
  }
});
