import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { equalBytes } from '../../../formats/bytes.ts';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { createDigest } from '../../../lib/digest/digest.node.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { openPeerStore } from '../../../store/peer/peer-store.node.ts';
import { openPeer, openPeerWriter } from '../../../store/peer/pulled-place.node.ts';
import { peerAt, settingsOfFakeSsh, writeScript } from '../../helpers/fake-ssh.ts';
import { noise } from '../../helpers/golden.ts';
import {
  allChunks,
  collected,
  findDesync,
  SERVED,
  SERVED_INDEX,
  servedChunk,
} from '../../helpers/peer-servers.ts';
import { requirement } from '../../helpers/requirements.ts';
import { CASYNC } from '../../helpers/run-casync.ts';
import { SSH_NEEDS, startSshServer } from '../../helpers/sshd.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

interface Server {
  readonly folder: string;
  readonly settings: LocationSettings;
}

type StartServer = (t: ExecutionContext) => Promise<Server | undefined>;

/** Each of them has a folder in which relative paths begin. */
const SERVERS: Readonly<Record<string, StartServer>> = {
  casync: async (t) => {
    if (!requirement(t, { commands: ['casync'] })) return undefined;
    const folder = temporaryFolder(t);
    return { folder, settings: settingsOfFakeSsh(folder) };
  },
  ours: async (t) => {
    const folder = temporaryFolder(t);
    return { folder, settings: settingsOfFakeSsh(folder, CASYNC) };
  },
  'casync behind sshd': async (t) => {
    if (!requirement(t, { ...SSH_NEEDS, commands: ['casync', ...(SSH_NEEDS.commands ?? [])] })) {
      return undefined;
    }
    const server = await startSshServer();
    t.teardown(() => {
      if (!t.passed) t.log(server.process.log());
      return server.stop();
    });
    const folder = temporaryFolder(t);
    // Words are read by a shell there, so the folder is reached by a program of ours.
    const remoteProgram = writeScript(folder, 'in folder', [`cd '${folder}'`, 'exec casync "$@"']);
    const { sshProgram } = server;
    return { folder, settings: { environment: process.env, sshProgram, remoteProgram } };
  },
};

const INDEX = peerAt(SERVED.indexFile);
const STORE = peerAt(SERVED.store);
const ABSENT = 'ab'.repeat(32) as ChunkId;
const MAX = { maxSize: 1_000_000 };

/** Stored bytes of all chunks. */
const STORED = Array.from({ length: SERVED_INDEX.count }, (_, i) => servedChunk(i));

function plainSize(i: number): number {
  return SERVED_INDEX.end(i) - SERVED_INDEX.start(i);
}

for (const [name, start] of Object.entries(SERVERS)) {
  test(`${name}: an index and its chunks come from one program`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    const things = { file: { kind: 'index', locator: INDEX }, stores: [STORE] } as const;
    const peer = openPeer(things, server);
    t.deepEqual(await collected(peer.file), SERVED.indexBytes);
    t.deepEqual(await allChunks(peer.chunks), STORED);
    await peer.close();
  });

  test(`${name}: chunks come also before anybody reads the index, and again`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    const things = { file: { kind: 'index', locator: INDEX }, stores: [STORE] } as const;
    const peer = openPeer(things, server);
    t.deepEqual(await allChunks(peer.chunks), STORED);
    t.deepEqual(await allChunks(peer.chunks), STORED);
    t.deepEqual(await collected(peer.file), SERVED.indexBytes);
    t.deepEqual(await collected(peer.file), SERVED.indexBytes);
    const part = await peer.file?.readRange({ offset: 100, length: 10_000 });
    t.deepEqual(part, SERVED.indexBytes.slice(100));
    await peer.close();
  });

  test(`${name}: an archive comes whole, or as far as it is read`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    const locator = peerAt(SERVED.archiveFile);
    const peer = openPeer({ file: { kind: 'archive', locator } }, server);
    t.is(peer.chunks, undefined);
    t.deepEqual(await collected(peer.file), SERVED.archiveBytes);
    const part = await peer.file?.readRange({ offset: 7, length: 1000 });
    t.deepEqual(part, SERVED.archiveBytes.slice(7, 1007));
    await peer.close();
  });

  test(`${name}: what is not there is missing, and nothing else`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    const { chunks } = openPeer({ stores: [STORE] }, server);
    await t.throwsAsync(async () => chunks?.getStored(ABSENT, MAX), {
      code: 'CHUNK_MISSING',
      message: new RegExp(ABSENT),
    });
    t.false(await chunks?.has(ABSENT));
    t.true(await chunks?.has(SERVED_INDEX.id(0)));
    await chunks?.close();
  });

  test(`${name}: a chunk fits or is refused`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    const { chunks } = openPeer({ stores: [STORE] }, server);
    const maxSize = STORED[0].length - 1;
    await t.throwsAsync(async () => chunks?.getStored(SERVED_INDEX.id(0), { maxSize }), {
      code: 'LIMIT_EXCEEDED',
    });
    const into = new Uint8Array(1_000_000);
    const found = await chunks?.getStored(SERVED_INDEX.id(1), { ...MAX, into });
    t.is(found?.bytes.buffer, into.buffer);
    t.deepEqual(found?.bytes.slice(), STORED[1]);
    await chunks?.close();
  });

  test(`${name}: an archive is stored as a whole or not at all`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    const given = openPeerWriter('archive', { locator: peerAt('host:given.catar') }, server);
    await given.write(SERVED.archiveBytes);
    await given.discard();
    const kept = openPeerWriter('archive', { locator: peerAt('host:kept.catar') }, server);
    await kept.write(SERVED.archiveBytes.subarray(0, 1000));
    await kept.write(SERVED.archiveBytes.subarray(1000));
    await kept.commit();
    await kept.discard();
    t.deepEqual(
      new Uint8Array(readFileSync(join(server.folder, 'kept.catar'))),
      SERVED.archiveBytes,
    );
    t.false(existsSync(join(server.folder, 'given.catar')));
  });

  test(`${name}: chunks are stored without an index, and only once`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    const options = { ...server, digest: 'sha512-256' } as const;
    for (let round = 0; round < 2; round++) {
      const store = openPeerStore(peerAt('host:new.castr'), options);
      const put = STORED.map((bytes, i) =>
        store.putStored(SERVED_INDEX.id(i), bytes, { plainSize: plainSize(i) }),
      );
      t.deepEqual(new Set(await Promise.all(put)), new Set(['stored']));
      t.is(await store.putStored(SERVED_INDEX.id(0), STORED[0]), 'present');
      t.true(await store.has(SERVED_INDEX.id(0)));
      await store.flush();
      t.deepEqual(await allChunks(store), STORED);
      await store.close();
    }
    const things = readdirSync(join(server.folder, 'new.castr')).filter((word) => word[0] !== '.');
    t.is(things.length, new Set(things).size);
    t.true(
      things.every((word) => /^[0-9a-f]{4}$/.test(word)),
      things.join(' '),
    );
  });

  test(`${name}: a store that is a link stays one`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    mkdirSync(join(server.folder, 'real'));
    symlinkSync('real', join(server.folder, 'link.castr'));
    const options = { ...server, digest: 'sha512-256' } as const;
    for (let i = 0; i < 2; i++) {
      const store = openPeerStore(peerAt('host:link.castr'), options);
      await store.putStored(SERVED_INDEX.id(i), STORED[i], { plainSize: plainSize(i) });
      await store.flush();
      await store.close();
      t.is(
        readdirSync(join(server.folder, 'real')).filter((word) => word[0] !== '.').length,
        i + 1,
      );
    }
  });

  test(`${name}: an index appears beside its chunks, or without a word about them`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    for (const stores of [[STORE], []]) {
      const locator = peerAt('host:new.caibx');
      const writer = openPeerWriter('index', { locator, stores }, server);
      await writer.write(SERVED.indexBytes);
      await writer.commit();
      const written = readFileSync(join(server.folder, 'new.caibx'));
      t.deepEqual(new Uint8Array(written), SERVED.indexBytes);
    }
  });

  test(`${name}: an index does not appear beside a store that lacks its chunks`, async (t) => {
    const server = await start(t);
    if (server === undefined) return;
    mkdirSync(join(server.folder, 'empty.castr'));
    const stores = [peerAt('host:empty.castr')];
    const writer = openPeerWriter('index', { locator: peerAt('host:new.caibx'), stores }, server);
    await writer.write(SERVED.indexBytes);
    await t.throwsAsync(writer.commit(), { code: 'CHUNK_MISSING' });
    t.false(existsSync(join(server.folder, 'new.caibx')));
  });
}

test('desync: chunks come from its store', async (t) => {
  const desync = findDesync();
  if (desync === undefined) {
    // Debian has no package of it, so it is not asked for under CI.
    t.log(`SKIPPED: ${t.title}: needs the program desync`);
    t.pass();
    return;
  }
  const server = { settings: settingsOfFakeSsh(temporaryFolder(t), desync) };
  const { chunks } = openPeer({ stores: [STORE] }, server);
  t.deepEqual(await allChunks(chunks), STORED);
  t.deepEqual(await allChunks(chunks), STORED);
  t.false(await chunks?.has(ABSENT));
  await chunks?.close();
});

test('what one push may not hold goes into the next one, whether it lacks or not', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const folder = temporaryFolder(t);
  const log = join(folder, 'log');
  const program = writeScript(folder, 'counted', [`echo "$1" >>'${log}'`, 'exec casync "$@"']);
  const options = { settings: settingsOfFakeSsh(folder, program), digest: 'sha512-256' } as const;
  const digest = createDigest('sha512-256');
  const chunks = Array.from({ length: 24 }, (_, i) => {
    const plain = noise(3 * 1024 * 1024, 2 * i + 1);
    return { id: digest.hash(plain), stored: new Uint8Array(gzipSync(plain, { level: 0 })) };
  });
  for (let round = 1; round <= 2; round++) {
    const store = openPeerStore(peerAt('host:big.castr'), options);
    await Promise.all(
      chunks.map(({ id, stored }) => store.putStored(id, stored, { plainSize: 3 * 1024 * 1024 })),
    );
    await store.flush();
    await store.close();
  }
  for (const { id, stored } of chunks) {
    const path = join(folder, 'big.castr', id.slice(0, 4), `${id}.cacnk`);
    t.true(equalBytes(new Uint8Array(readFileSync(path)), stored));
  }
  // The first one finds no store; then at least two a round.
  t.true(readFileSync(log, 'utf8').split('\n').length > 5);
});

test('helpers of URL schemes are programs like others', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const folder = temporaryFolder(t);
  // Takes the paths out of the URLs.
  writeScript(folder, 'casync-test', [
    `for word; do shift; set -- "$@" "$\{word#test://host}"; done`,
    'exec casync "$@"',
  ]);
  const settings = { environment: { ...process.env, CASYNC_PROTOCOL_PATH: folder } };
  const url = (word: string) => peerAt(word.replace('host:', 'test://host'));
  const things = {
    file: { kind: 'index', locator: url(SERVED.indexFile) },
    stores: [url(SERVED.store)],
  } as const;
  const peer = openPeer(things, { settings });
  t.deepEqual(await collected(peer.file), SERVED.indexBytes);
  t.deepEqual(await allChunks(peer.chunks), STORED);
  await peer.close();
  t.throws(() => openPeerStore(url(SERVED.store), { settings, digest: 'sha256' }), {
    code: 'UNSUPPORTED',
  });
});
