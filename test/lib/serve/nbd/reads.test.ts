/** What clients of the NBD server get when they read (spec/nbd.md). */
import test from 'ava';
import { testServer } from '../../../helpers/nbd-server.ts';
import { failure, memoryExport, patternBytes } from '../../../helpers/test-exports.ts';

const MIB = 1024 * 1024;
const DF = 4;
const ERR = { EIO: 5, EINVAL: 22, EOVERFLOW: 75, ESHUTDOWN: 108 };

test('a simple answer has exactly the bytes', async (t) => {
  const blob = memoryExport(patternBytes(100_001));
  const client = await (await testServer(t, blob)).client({ isStructured: false });
  for (const [offset, length] of [
    [0, 1],
    [511, 1000],
    [100_000, 1],
    [0, 100_001],
    [7, 0],
  ]) {
    const answer = await client.read(offset, length);
    t.is(answer.error, 0);
    t.true(answer.data.equals(blob.bytes.subarray(offset, offset + length)));
  }
  t.is(blob.held(), 0);
});

test('a structured answer has data in pieces and zeros as holes', async (t) => {
  const bytes = patternBytes(2 * MIB).fill(0, 64 * 1024, MIB);
  const blob = memoryExport(bytes, [[64 * 1024, MIB]]);
  const client = await (await testServer(t, blob)).client();
  const answer = await client.read(512, 2 * MIB - 1024);
  t.true(answer.data.equals(bytes.subarray(512, 2 * MIB - 512)));
  t.deepEqual(answer.chunks, [
    `data ${64 * 1024 - 512}`,
    `hole ${MIB - 64 * 1024}`,
    `data ${MIB / 4}`,
    `data ${MIB / 4}`,
    `data ${MIB / 4}`,
    `data ${MIB / 4 - 512}`,
  ]);
  t.deepEqual((await client.read(0, 0)).chunks, ['none']);
});

test('DF is answered with one chunk, or EOVERFLOW', async (t) => {
  const bytes = patternBytes(MIB).fill(0, 4096, 65_536);
  const client = await (await testServer(t, memoryExport(bytes, [[4096, 65_536]]))).client();
  const answer = await client.read(0, 262_144, DF);
  t.deepEqual(answer.chunks, ['data 262144']);
  t.true(answer.data.equals(bytes.subarray(0, 262_144)));
  const tooLong = await client.read(0, 262_145, DF);
  t.is(tooLong.error, ERR.EOVERFLOW);
  t.deepEqual(tooLong.chunks, ['error']);
});

test('status tells stretches of zeros; REQ_ONE the first', async (t) => {
  const blob = memoryExport(Buffer.alloc(MIB), [[65_536, 131_072]]);
  const client = await (await testServer(t, blob)).client();
  const all = await client.request({ command: 7, offset: 0, length: MIB });
  t.deepEqual(all.stretches, [
    [65_536, 0],
    [65_536, 3],
    [MIB - 131_072, 0],
  ]);
  const one = await client.request({ command: 7, offset: 65_536, length: MIB / 2, flags: 8 });
  t.deepEqual(one.stretches, [[65_536, 3]]);
});

test('long reads are answered whole, also without chunks', async (t) => {
  const bytes = patternBytes(40 * MIB);
  const blob = memoryExport(bytes);
  const server = await testServer(t, blob);
  for (const isStructured of [true, false]) {
    const client = await server.client({ isStructured });
    const answers = [client.ask({ command: 0, offset: 3, length: 32 * MIB })];
    answers.push(client.ask({ command: 0, offset: 8 * MIB, length: 32 * MIB }));
    answers.push(client.ask({ command: 0, offset: 5, length: 5 }));
    const [first, second, third] = await Promise.all(answers.map((name) => client.answer(name)));
    t.true(first.data.equals(bytes.subarray(3, 3 + 32 * MIB)));
    t.true(second.data.equals(bytes.subarray(8 * MIB)));
    t.true(third.data.equals(bytes.subarray(5, 10)));
  }
  t.is(blob.held(), 0);
});

test('answers come as they are ready, not in the order of requests', async (t) => {
  const blob = memoryExport(patternBytes(10_000));
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  blob.gate = (offset) => (offset === 0 ? gate : undefined);
  const client = await (await testServer(t, blob)).client();
  const slow = client.ask({ command: 0, offset: 0, length: 100 });
  const fast = client.ask({ command: 0, offset: 100, length: 100 });
  t.is((await client.answer(fast)).error, 0);
  open();
  t.is((await client.answer(slow)).error, 0);
});

test('a read that fails is EIO with a text, alone, and is tried again', async (t) => {
  const blob = memoryExport(patternBytes(MIB));
  blob.gate = (offset) => (offset === 262_144 ? Promise.reject(failure()) : undefined);
  const server = await testServer(t, blob);
  const client = await server.client();
  const [broken, whole] = [
    client.ask({ command: 0, length: MIB }),
    client.ask({ command: 0, length: 512 }),
  ];
  const answer = await client.answer(broken);
  t.is(answer.error, ERR.EIO);
  t.is(answer.message, 'disk: read: broken');
  t.is(answer.errorOffset, 262_144);
  t.deepEqual(answer.chunks, ['data 262144', 'error']);
  t.is((await client.answer(whole)).error, 0);
  blob.gate = () => undefined;
  t.true((await client.read(0, MIB)).data.equals(blob.bytes));
  t.deepEqual(
    server.failures.map((error) => (error as Error).message),
    ['disk: read: broken'],
  );
  t.is(blob.held(), 0);
});

test('a read that fails without chunks is EIO, also in the middle', async (t) => {
  const blob = memoryExport(patternBytes(34 * MIB));
  // The last piece, when the memory of the client is not enough for all.
  blob.gate = (offset) => (offset >= 31 * MIB ? Promise.reject(failure()) : undefined);
  const client = await (await testServer(t, blob)).client({ isStructured: false });
  t.is((await client.read(0, 32 * MIB)).error, ERR.EIO);
  t.is((await client.read(31 * MIB, 512)).error, ERR.EIO);
  t.is((await client.read(30 * MIB, 512)).error, 0);
});

test('a simple answer that breaks off ends the connection', async (t) => {
  const blob = memoryExport(patternBytes(32 * MIB));
  let count = 0;
  blob.gate = (offset) =>
    offset === 20 * MIB && ++count === 2 ? Promise.reject(failure()) : undefined;
  const client = await (await testServer(t, blob)).client({ isStructured: false });
  await t.throwsAsync(client.read(0, 32 * MIB), { message: 'connection closed' });
  t.is(blob.held(), 0);
});

test('a blob that became shorter is EIO, never zeros', async (t) => {
  const bytes = patternBytes(1000);
  const blob = { ...memoryExport(bytes), size: 2000 };
  const client = await (await testServer(t, blob)).client();
  const answer = await client.read(500, 1000);
  t.is(answer.error, ERR.EIO);
  t.is(answer.data.length, 0);
});

test('mistakes of the program are EIO, and told', async (t) => {
  const blob = memoryExport(patternBytes(1000));
  blob.gate = () => Promise.reject(new TypeError('oops'));
  const server = await testServer(t, blob);
  const answer = await (await server.client()).read(0, 10);
  t.is(answer.error, ERR.EIO);
  t.is(answer.message, 'internal error');
  t.deepEqual(server.failures.map(String), ['TypeError: oops']);
});

test('ranges outside are refused, and the connection goes on', async (t) => {
  const client = await (await testServer(t, memoryExport(patternBytes(1000)))).client();
  t.is((await client.read(0, 1001)).error, ERR.EINVAL);
  t.is((await client.read(2 ** 60, 1)).error, ERR.EINVAL);
  t.is((await client.read(0, 33 * MIB)).error, ERR.EINVAL);
  t.is((await client.request({ command: 99 })).error, ERR.EINVAL);
  t.is((await client.read(0, 1000)).error, 0);
});

test('CACHE reads, and says whether it could', async (t) => {
  const blob = memoryExport(patternBytes(MIB));
  const seen: number[] = [];
  blob.gate = (offset) => {
    seen.push(offset);
    return offset > 600_000 ? Promise.reject(failure()) : undefined;
  };
  const client = await (await testServer(t, blob)).client();
  t.is((await client.request({ command: 5, offset: 0, length: 500_000 })).error, 0);
  t.deepEqual(seen, [0, 262_144]);
  t.is((await client.request({ command: 5, offset: 0, length: MIB })).error, ERR.EIO);
  t.is(blob.held(), 0);
});
