import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { isCasError } from '../../../formats/errors.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { openPeerStore } from '../../../store/peer/peer-store.node.ts';
import { openPeer, openPeerWriter } from '../../../store/peer/pulled-place.node.ts';
import { PushSession } from '../../../store/peer/push-session.node.ts';
import { peerAt, settingsOfFakeSsh, writeScript } from '../../helpers/fake-ssh.ts';
import { GOLDEN, noise } from '../../helpers/golden.ts';
import {
  allChunks,
  collected,
  SERVED,
  SERVED_INDEX,
  servedChunk,
} from '../../helpers/peer-servers.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const INDEX = peerAt(SERVED.indexFile);
const STORE = peerAt(SERVED.store);
const THINGS = { file: { kind: 'index', locator: INDEX }, stores: [STORE] } as const;
const MAX = { maxSize: 1_000_000 };

/** A place whose program is a shell script; nothing is tried again. */
function scripted(folder: string, ...lines: readonly string[]): { settings: LocationSettings } {
  const program = writeScript(folder, 'peer', lines);
  return { settings: { ...settingsOfFakeSsh(folder, program), attemptCount: 1 } };
}

/** Bytes that a server has said, as a path. */
const said = (session: string): string => join(GOLDEN, `protocol/${session}.s2c`);

test('a program that ends early is named with its status', async (t) => {
  const options = scripted(temporaryFolder(t), 'exit 7');
  const peer = openPeer(THINGS, options);
  await t.throwsAsync(collected(peer.file), {
    code: 'IO',
    message: /host:.*has ended early, with status 7$/,
  });
  await t.throwsAsync(allChunks(peer.chunks), { message: /status 7/ });
  await peer.close();
  for (const kind of ['index', 'archive'] as const) {
    const writer = openPeerWriter(kind, { locator: INDEX }, options);
    await t.throwsAsync(
      (async () => {
        await writer.write(noise(1_000_000));
        await writer.commit();
      })(),
      { message: /ended early, with status 7/ },
    );
    await writer.discard();
  }
  const store = openPeerStore(STORE, { ...options, digest: 'sha256' });
  const bytes = Uint8Array.of(1);
  await t.throwsAsync(store.putStored(SERVED_INDEX.id(0), bytes), { message: /status 7/ });
  await t.throwsAsync(store.flush(), { message: /status 7/ });
  await store.close();
});

test('a program that takes no chunks although it has asked for them is quoted', async (t) => {
  // The request is answered as soon as it is read; there is time for that.
  const lines = [`head -c 240 '${said('push-index')}'`, 'exec <&-', 'sleep 0.3'];
  const end = ['echo no more room >&2', 'exit 5'];
  const program = writeScript(temporaryFolder(t), 'peer', [...lines, ...end]);
  const session = new PushSession(
    { program, words: [] },
    {
      label: 'host:x',
      environment: process.env,
      isQuiet: true,
      file: 'index',
      getChunk: async () => ({ bytes: noise(1_000_000), isPlain: false }),
    },
  );
  await session.opened();
  await t.throwsAsync(session.commit(), {
    code: 'UNAVAILABLE',
    message: /ended early, with status 5: no more room/,
  });
  await session.discard();
});

test('a program that is not there is named', async (t) => {
  const settings = { environment: process.env, sshProgram: '/nowhere/ssh', attemptCount: 1 };
  const peer = openPeer(THINGS, { settings });
  await t.throwsAsync(collected(peer.file), {
    code: 'IO',
    message: /Failed to execute \/nowhere\/ssh: No such file or directory/,
  });
  await peer.close();
});

test('a place that has no casync is told of as such', async (t) => {
  const folder = temporaryFolder(t);
  const settings = {
    environment: process.env,
    sshProgram: writeScript(folder, 'ssh', ['shift; sh -c "$*" 2>/dev/null']),
    remoteProgram: 'no-such-program',
    attemptCount: 1,
  };
  const peer = openPeer(THINGS, { settings });
  await t.throwsAsync(collected(peer.file), { message: /no such program there/ });
  await peer.close();
});

test('a program that says goodbye before everything has come, or was sent, has failed', async (t) => {
  const folder = temporaryFolder(t);
  const hello = `head -c 24 '${said('pull-index')}'`;
  const goodbye = `tail -c 16 '${said('push-index')}'`;
  const peer = openPeer(THINGS, scripted(folder, hello, goodbye, 'cat >/dev/null'));
  await t.throwsAsync(collected(peer.file), { message: /ended early/ });
  await peer.close();
  const options = scripted(folder, `head -c 24 '${said('push-archive')}'`, goodbye, 'exec cat');
  const writer = openPeerWriter('archive', { locator: INDEX }, options);
  await t.throwsAsync(
    (async () => {
      for (let i = 0; i < 10_000; i++) await writer.write(new Uint8Array(1000));
    })(),
    { message: /goodbye before/ },
  );
  await writer.discard();
});

const GARBAGE: Readonly<Record<string, string>> = {
  'a greeting of a shell': 'echo "Welcome to host, have a nice day! Please."; exec cat >/dev/null',
  'random bytes': 'head -c 100000 /dev/urandom; exec cat >/dev/null',
  'endless zeros': 'exec cat /dev/zero',
  'services that do not fit': `cat '${said('push-index')}'; exec cat >/dev/null`,
  'chunks that nobody wants': `cat '${said('pull-chunks')}'; exec cat >/dev/null`,
};

for (const [name, line] of Object.entries(GARBAGE)) {
  test(`${name} from a peer is refused, and the peer is ended`, async (t) => {
    const options = scripted(temporaryFolder(t), line);
    const peer = openPeer({ stores: [STORE] }, options);
    await t.throwsAsync(async () => peer.chunks?.getStored('ab'.repeat(32) as ChunkId, MAX), {
      code: 'FORMAT',
    });
    await peer.close();
    const writer = openPeerWriter('archive', { locator: INDEX }, options);
    await t.throwsAsync(
      (async () => {
        await writer.write(noise(100_000));
        await writer.commit();
      })(),
      { code: 'FORMAT' },
    );
  });
}

test('a peer that gives up is quoted, with its error number', async (t) => {
  const folder = temporaryFolder(t);
  // Size 36, type, ENOSPC, "sad", zero.
  const abort = '\\034\\000\\000\\000\\000\\000\\000\\000\\122\\243\\376\\176\\153\\023\\331\\347';
  const text = '\\034\\000\\000\\000\\000\\000\\000\\000sad\\000';
  const hello = `head -c 24 '${said('pull-index')}'`;
  const options = scripted(folder, hello, `printf '${abort}${text}'`, 'exec cat >/dev/null');
  const peer = openPeer(THINGS, options);
  await t.throwsAsync(collected(peer.file), {
    code: 'TARGET_FULL',
    message: /gives up: sad \(No space left on device\)/,
  });
  await peer.close();
});

test('silence is endured as long as the settings say', async (t) => {
  const { settings } = scripted(temporaryFolder(t), 'exec sleep 60');
  const peer = openPeer(THINGS, { settings: { ...settings, timeoutMs: 50 } });
  await t.throwsAsync(collected(peer.file), { code: 'UNAVAILABLE', message: /0.05 seconds/ });
  await peer.close();
});

test('a peer that is slow is waited for', async (t) => {
  const answer = said('pull-index');
  const slow = `head -c 40 '${answer}'; sleep 0.2; tail -c +41 '${answer}' | head -c 355`;
  const options = scripted(temporaryFolder(t), slow, 'sleep 0.1', 'exec cat >/dev/null');
  const peer = openPeer(THINGS, options);
  const pieces = peer.file?.read()[Symbol.asyncIterator]();
  const first = await pieces?.next();
  t.is(first?.done, false);
  await peer.close();
});

test('who waits is told when the peer is closed or the signal fires', async (t) => {
  const options = scripted(temporaryFolder(t), 'exec cat >/dev/null');
  const peer = openPeer({ stores: [STORE] }, options);
  const ending = new AbortController();
  const waiting = [
    peer.chunks?.getStored(SERVED_INDEX.id(0), { ...MAX, signal: ending.signal }),
    peer.chunks?.getStored(SERVED_INDEX.id(1), MAX),
  ];
  const first = t.throwsAsync(async () => waiting[0], { message: 'enough' });
  ending.abort(new Error('enough'));
  await first;
  const second = t.throwsAsync(async () => waiting[1], { message: /./ });
  await peer.close();
  await second;
});

test('a push ends when its signal fires', async (t) => {
  const options = scripted(temporaryFolder(t), 'exec cat >/dev/null');
  const ending = new AbortController();
  const { signal } = ending;
  const writer = openPeerWriter('archive', { locator: INDEX }, { ...options, signal });
  const writing = t.throwsAsync(Promise.resolve(writer.write(noise(1000))), { message: 'enough' });
  ending.abort(new Error('enough'));
  await writing;
  await writer.discard();
});

test('a program that does not want to end is killed', async (t) => {
  const options = scripted(temporaryFolder(t), "trap '' TERM", 'while :; do sleep 0.1; done');
  const peer = openPeer(THINGS, options);
  void t.throwsAsync(collected(peer.file), { message: /./ });
  await peer.close();
  t.pass();
});

test('a hundred sessions, many of them killed: each ends, right or with an error', async (t) => {
  if (!requirement(t, { commands: ['casync', 'timeout'] })) return;
  const folder = temporaryFolder(t);
  const stored = Array.from({ length: SERVED_INDEX.count }, (_, i) => servedChunk(i));
  const fake = settingsOfFakeSsh(folder);
  let rightCount = 0;
  const session = async (i: number): Promise<void> => {
    const program = writeScript(folder, `peer${i}`, [
      i % 3 === 0 ? 'exec casync "$@"' : `exec timeout -s KILL 0.0${(i * 7) % 100} casync "$@"`,
    ]);
    const settings = { ...fake, remoteProgram: program, attemptCount: 1 };
    const peer = openPeer(THINGS, { settings });
    const options = { settings, digest: 'sha512-256' } as const;
    const store = openPeerStore(peerAt(`host:${i}.castr`), options);
    try {
      t.deepEqual(await collected(peer.file), SERVED.indexBytes);
      t.deepEqual(await allChunks(peer.chunks), stored);
      for (const [k, bytes] of stored.entries()) await store.putStored(SERVED_INDEX.id(k), bytes);
      await store.flush();
      const id = SERVED_INDEX.id(2);
      t.true(existsSync(join(folder, `${i}.castr`, id.slice(0, 4), `${id}.cacnk`)));
      rightCount++;
    } catch (error) {
      if (i % 3 === 0 || !isCasError(error)) throw error;
    } finally {
      await peer.close();
      await store.close();
    }
  };
  for (let i = 0; i < 100; i += 4) {
    await Promise.all([i, i + 1, i + 2, i + 3].map(session));
  }
  t.log(`${rightCount} of 100 were right`);
  t.true(rightCount >= 34);
});
