/** What clients of the NBD server write (spec/nbd.md). */
import test from 'ava';
import { StorageError } from '../../../../store/errors.ts';
import { nbdRequest } from '../../../helpers/nbd-bytes.ts';
import { testServer } from '../../../helpers/nbd-server.ts';
import {
  failure,
  memoryExport,
  patternBytes,
  writableExport,
} from '../../../helpers/test-exports.ts';

const MIB = 1024 * 1024;
const CMD = { write: 1, disc: 2, flush: 3, trim: 4, zeroes: 6 };
const FLAG = { fua: 1, noHole: 2, fastZero: 16 };
const ERR = { EPERM: 1, EIO: 5, EINVAL: 22, ENOSPC: 28, ENOTSUP: 95 };

test('what is written is there', async (t) => {
  const blob = writableExport(Buffer.alloc(MIB));
  const client = await (await testServer(t, blob)).client();
  const data = patternBytes(700_000);
  t.is((await client.request({ command: CMD.write, offset: 1001, data })).error, 0);
  t.true(blob.bytes.subarray(1001, 701_001).equals(data));
  t.true((await client.read(1001, data.length)).data.equals(data));
  t.deepEqual(blob.calls, ['write 1001 262144', 'write 263145 262144', 'write 525289 175712']);
});

test('32 MiB can be written at a time, more is swallowed', async (t) => {
  const blob = writableExport(Buffer.alloc(40 * MIB));
  const client = await (await testServer(t, blob)).client();
  const data = patternBytes(33 * MIB);
  const long = await client.request({ command: CMD.write, data });
  t.is(long.error, ERR.EINVAL);
  t.deepEqual(blob.calls, []);
  const fit = await client.request({ command: CMD.write, data: data.subarray(0, 32 * MIB) });
  t.is(fit.error, 0);
  t.true(blob.bytes.subarray(0, 32 * MIB).equals(data.subarray(0, 32 * MIB)));
});

test('data of refused writes is swallowed', async (t) => {
  const data = patternBytes(100_000);
  const writable = await (await testServer(t, writableExport(Buffer.alloc(50_000)))).client();
  t.is((await writable.request({ command: CMD.write, data })).error, ERR.ENOSPC);
  t.is((await writable.request({ command: CMD.write, data, flags: 64 })).error, ERR.EINVAL);
  t.is((await writable.read(0, 50_000)).error, 0);
  const readOnly = await (await testServer(t, memoryExport(Buffer.alloc(50_000)))).client();
  t.is((await readOnly.request({ command: CMD.write, data })).error, ERR.EPERM);
  t.is((await readOnly.request({ command: CMD.flush })).error, 0);
});

test('FUA is answered when what was written lasts', async (t) => {
  const blob = writableExport(Buffer.alloc(10_000));
  const client = await (await testServer(t, blob)).client();
  await client.request({ command: CMD.write, data: Buffer.alloc(10), flags: FLAG.fua });
  await client.request({ command: CMD.trim, length: 10, flags: FLAG.fua });
  await client.request({ command: CMD.flush, flags: FLAG.fua });
  t.deepEqual(blob.calls, ['write 0 10', 'flush', 'zero 0 10', 'flush', 'flush']);
});

test('zeros keep their space if the client wants it, but not fast', async (t) => {
  const blob = writableExport(patternBytes(10_000));
  const client = await (await testServer(t, blob)).client();
  const range = { command: CMD.zeroes, offset: 5, length: 100 };
  t.is((await client.request(range)).error, 0);
  t.is((await client.request({ ...range, flags: FLAG.noHole })).error, 0);
  t.is((await client.request({ ...range, flags: FLAG.fastZero })).error, 0);
  const refused = await client.request({ ...range, flags: FLAG.fastZero | FLAG.noHole });
  t.is(refused.error, ERR.ENOTSUP);
  t.deepEqual(blob.calls, ['zero 5 100', 'zero 5 100 keep', 'zero 5 100']);
});

test('a write that fails is an error of its own', async (t) => {
  const blob = writableExport(Buffer.alloc(MIB));
  const server = await testServer(t, blob);
  const client = await server.client();
  const { writer } = blob;
  if (writer === undefined) throw new Error('no writer');
  const write = writer.write.bind(writer);
  const full = new StorageError('TARGET_FULL', { subject: 'disk', reason: 'No space' });
  const failing = { error: failure() as Error };
  writer.write = (offset, bytes) =>
    offset === 262_144 ? Promise.reject(failing.error) : write(offset, bytes);
  const data = patternBytes(MIB);
  t.is((await client.request({ command: CMD.write, data })).error, ERR.EIO);
  failing.error = full;
  const answer = await client.request({ command: CMD.write, data });
  t.is(answer.error, ERR.ENOSPC);
  t.is(answer.message, 'disk: No space');
  t.is((await client.request({ command: CMD.write, data: data.subarray(0, 512) })).error, 0);
  t.is(server.failures.length, 2);
});

test('without chunks an error is a number', async (t) => {
  const client = await (await testServer(t, memoryExport(Buffer.alloc(10)))).client({
    isStructured: false,
  });
  const answer = await client.request({ command: CMD.write, data: Buffer.alloc(10) });
  t.is(answer.error, ERR.EPERM);
  t.is(answer.message, '');
});

test('a write of nothing is done', async (t) => {
  const blob = writableExport(Buffer.alloc(10));
  const client = await (await testServer(t, blob)).client();
  t.is((await client.request({ command: CMD.write, offset: 10 })).error, 0);
  t.deepEqual(blob.calls, []);
});

test('requests in front of a good-bye are answered, those behind it are not', async (t) => {
  const blob = writableExport(Buffer.alloc(MIB));
  const client = await (await testServer(t, blob)).client();
  const last = client.ask({ command: CMD.write, data: Buffer.alloc(500_000, 7) });
  client.send(nbdRequest({ command: CMD.disc }), nbdRequest({ command: CMD.write, length: 5 }));
  t.is((await client.answer(last)).error, 0);
  await client.closed();
  t.is(blob.bytes[499_999], 7);
});

test('a client that vanishes within a write leaves nothing behind', async (t) => {
  const blob = writableExport(Buffer.alloc(MIB));
  const server = await testServer(t, blob);
  const request = nbdRequest({ command: CMD.write, length: MIB });
  for (const sent of [28, 29, 100_000, 262_144 + 28, 300_000]) {
    const client = await server.client();
    client.send(Buffer.concat([request, Buffer.alloc(MIB, 9)]).subarray(0, sent));
    await new Promise<void>((resolve) => client.socket.end(resolve));
    await client.closed();
  }
  const client = await server.client();
  t.is((await client.request({ command: CMD.write, data: Buffer.alloc(MIB, 5) })).error, 0);
  t.true(blob.bytes.equals(Buffer.alloc(MIB, 5)));
});
