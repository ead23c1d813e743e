/** What an HTTP backend makes of right, wrong and spoiled answers. */
import test, { type ExecutionContext } from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { openHttpBackend } from '../../../store/backends/http.node.ts';
import { noise } from '../../helpers/golden.ts';
import {
  answer,
  type ScriptedAnswer,
  type ScriptedRequest,
  type ScriptedServer,
  startScriptedServer,
} from '../../helpers/scripted-server.ts';

type Script = (request: ScriptedRequest) => ScriptedAnswer | undefined;

async function open(
  t: ExecutionContext,
  script: Script,
): Promise<{ backend: ObjectBackend; server: ScriptedServer }> {
  const server = await startScriptedServer(t, script);
  const backend = await openHttpBackend(`${server.url}/store`, {
    environment: {},
    timeoutMs: 2000,
  });
  t.teardown(() => backend.close());
  return { backend, server };
}

const raw = (bytes: string, ending?: 'end' | 'reset'): ScriptedAnswer =>
  ending === undefined ? { bytes } : { bytes, ending };
const BODY = noise(300);
const RANGE = { offset: 10, length: 20 };
const PASSING = { code: 'UNAVAILABLE', instanceOf: Error };

test('an answer that is cut at any byte is no answer', async (t) => {
  const chunked =
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n';
  const plain = 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nabcdefg';
  for (const text of [chunked, plain]) {
    for (const ending of ['end', 'reset'] as const) {
      let length = 0;
      const { backend } = await open(t, () => raw(text.slice(0, length), ending));
      for (; length < text.length; length++) {
        const message = `${ending} after ${length} of ${JSON.stringify(text)}`;
        const error = await t.throwsAsync(backend.get('key'), PASSING, message);
        t.like(error, { retry: 'later' });
      }
    }
    const { backend } = await open(t, () => raw(text, 'end'));
    t.deepEqual(await backend.get('key'), new Uint8Array(Buffer.from('abcdefg')));
  }
});

test('an answer without a length, which may have been cut, is refused', async (t) => {
  const { backend } = await open(t, () => raw('HTTP/1.1 200 OK\r\n\r\nabc', 'end'));
  await t.throwsAsync(backend.get('key'), { code: 'IO', message: /how long it is/ });
});

test('chunked answers are read into memory of the caller while they fit', async (t) => {
  const pieces = ['a'.repeat(100), 'b'.repeat(100)].map((piece) => `64\r\n${piece}\r\n`);
  const text = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${pieces.join('')}0\r\n\r\n`;
  const { backend } = await open(t, () => raw(text));
  const expected = new Uint8Array(200).fill(97, 0, 100).fill(98, 100);
  for (const size of [0, 99, 100, 150, 199]) {
    t.deepEqual(await backend.get('key', { into: new Uint8Array(size) }), expected);
  }
  const into = new Uint8Array(new SharedArrayBuffer(250)).subarray(20);
  const found = await backend.get('key', { into });
  t.is(found.buffer, into.buffer);
  t.deepEqual(found, new Uint8Array(expected));
  await t.throwsAsync(backend.get('key', { maxSize: 199 }), { code: 'LIMIT_EXCEEDED' });
});

test('an announced length of any size takes no memory', async (t) => {
  const { backend } = await open(t, () =>
    raw('HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nabc', 'end'),
  );
  await t.throwsAsync(backend.get('key'), PASSING);
  await t.throwsAsync(backend.get('key', { maxSize: 1000 }), { code: 'LIMIT_EXCEEDED' });
});

test('parts are right from servers that know them, do not, or say too much', async (t) => {
  const part = BODY.slice(10, 30);
  const answers: Readonly<Record<string, ScriptedAnswer>> = {
    'with a total': answer(206, part, { 'Content-Range': 'bytes 10-29/300' }),
    'without a total': answer(206, part, { 'Content-Range': 'bytes 10-29/*' }),
    'all of it': answer(200, BODY),
  };
  for (const [name, given] of Object.entries(answers)) {
    const { backend, server } = await open(t, () => given);
    t.deepEqual(await backend.get('key', { range: RANGE }), part, name);
    t.deepEqual(await backend.get('key', { range: RANGE, maxSize: 20 }), part, name);
    t.is(server.requests[0].headers.range, 'bytes=10-29');
  }
});

test('parts that go beyond the end are as short as they should be', async (t) => {
  const wish = { range: { offset: 290, length: 20 } };
  const part = BODY.slice(290);
  for (const [given, expected] of [
    [answer(206, part, { 'Content-Range': 'bytes 290-299/300' }), part],
    [answer(200, BODY), part],
    [answer(200, BODY.subarray(0, 290)), new Uint8Array()],
    [answer(200, BODY.subarray(0, 5)), new Uint8Array()],
    [answer(416, 'no', { 'Content-Range': 'bytes */290' }), new Uint8Array()],
    [answer(416), new Uint8Array()],
  ] as const) {
    const { backend } = await open(t, () => given);
    t.deepEqual(await backend.get('key', wish), expected);
    t.deepEqual(await backend.get('key', wish), expected);
  }
});

test('wrong parts are refused', async (t) => {
  const part = BODY.slice(10, 30);
  for (const [name, given] of Object.entries({
    'another place': answer(206, part, { 'Content-Range': 'bytes 0-19/300' }),
    shorter: answer(206, part.subarray(0, 10), { 'Content-Range': 'bytes 10-19/300' }),
    longer: answer(206, BODY.subarray(10, 40), { 'Content-Range': 'bytes 10-39/300' }),
    'shorter than it says': answer(206, part.subarray(1), { 'Content-Range': 'bytes 10-29/300' }),
    nowhere: answer(206, part),
    'several parts': answer(206, part, { 'Content-Type': 'multipart/byteranges; boundary=x' }),
    'not there': answer(416, '', { 'Content-Range': 'bytes */300' }),
  })) {
    const { backend } = await open(t, () => given);
    await t.throwsAsync(backend.get('key', { range: RANGE }), { code: 'IO' }, name);
  }
  const { backend } = await open(t, () => answer(206, part, { 'Content-Range': 'bytes 0-19/300' }));
  await t.throwsAsync(backend.get('key'), { code: 'IO' }, 'not asked for');
});

test('a cut part is no part, and a cut rest does not matter', async (t) => {
  const whole = answer(200, BODY).bytes;
  const { backend } = await open(t, () => ({ bytes: whole.slice(0, -280), ending: 'end' }));
  await t.throwsAsync(backend.get('key', { range: RANGE }), PASSING);
  const other = await open(t, () => ({ bytes: whole.slice(0, -200), ending: 'end' }));
  t.deepEqual(await other.backend.get('key', { range: RANGE }), BODY.slice(10, 30));
});

test('bodies in an encoding are refused, and none is asked for', async (t) => {
  for (const encoding of ['gzip', 'zstd', 'identity, br']) {
    const { backend, server } = await open(t, () =>
      answer(200, 'x', { 'Content-Encoding': encoding }),
    );
    await t.throwsAsync(backend.get('key'), { code: 'IO', message: /Content-Encoding/ });
    t.is(server.requests[0].headers['accept-encoding'], 'identity');
  }
  const { backend } = await open(t, () => answer(200, 'x', { 'Content-Encoding': 'identity' }));
  t.is((await backend.get('key')).length, 1);
});

test('what a status means', async (t) => {
  let [status, retryAfter] = [0, '3'];
  const { backend } = await open(t, () => answer(status, 'words', { 'Retry-After': retryAfter }));
  const kinds: Readonly<Record<string, readonly number[]>> = {
    OBJECT_MISSING: [404, 410],
    DENIED: [401, 403, 407],
    UNAVAILABLE: [408, 425, 429, 500, 502, 503, 504],
    TARGET_FULL: [507],
    IO: [201, 202, 203, 204, 206, 300, 304, 305, 400, 402, 405, 409, 416, 418, 451, 501, 505, 599],
  };
  for (const [code, statuses] of Object.entries(kinds)) {
    for (status of statuses) {
      const error = await t.throwsAsync(backend.get('key'), { code }, String(status));
      t.true(error.message.startsWith(`${backend.label}/key: get: `), error.message);
      t.true(error.message.includes(String(status)), error.message);
      const passes = code === 'UNAVAILABLE';
      t.like(error, passes ? { retry: 'later', retryAfterMs: 3000 } : { retry: 'never' });
    }
  }
  [status, retryAfter] = [404, ''];
  const { message } = await t.throwsAsync(backend.get('key'));
  t.is(message, `${backend.label}/key: get: 404 Not Found`);
});

test('heads of informational answers are read over', async (t) => {
  const early = 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n';
  const { backend } = await open(t, () =>
    raw(`${early}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`),
  );
  t.is((await backend.get('key')).length, 2);
});

test('what is not HTTP is refused', async (t) => {
  for (const bytes of ['SSH-2.0-OpenSSH\r\n', '\0\0\0\0', 'HTTP/1.1 banana\r\n\r\n']) {
    const { backend } = await open(t, () => raw(bytes, 'end'));
    await t.throwsAsync(backend.get('key'), { code: 'IO', message: /not HTTP/ });
  }
  const long = `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`;
  const { backend } = await open(t, () => raw(long, 'end'));
  await t.throwsAsync(backend.get('key'), { code: 'IO', message: /too long/ });
});

test('smuggled lengths are refused', async (t) => {
  for (const lines of [
    'Content-Length: 2\r\nContent-Length: 3',
    'Content-Length: 2\r\nTransfer-Encoding: chunked',
    'Content-Length: +2',
    'Content-Length: 2, 2',
  ]) {
    const { backend } = await open(t, () =>
      raw(`HTTP/1.1 200 OK\r\n${lines}\r\n\r\n2\r\nok`, 'end'),
    );
    await t.throwsAsync(backend.get('key'), undefined, lines);
  }
});

test('a server that does not answer is not waited for', async (t) => {
  const silent = await startScriptedServer(t, () => undefined);
  const started = Date.now();
  for (const [url, message] of [[`${silent.url}/store`, /No answer in time/]] as const) {
    const backend = await openHttpBackend(url, { environment: {}, timeoutMs: 500 });
    const error = await t.throwsAsync(backend.get('key'), { code: 'UNAVAILABLE', message });
    t.like(error, { retry: 'later' });
    await backend.close();
  }
  const half = await open(t, () => raw('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc'));
  await t.throwsAsync(half.backend.get('key'), { code: 'UNAVAILABLE', message: /does not go on/ });
  t.true(Date.now() - started < 10_000);
});

test('a connection that the server was closing is replaced at once', async (t) => {
  const { backend, server } = await open(t, ({ number }) =>
    number === 1 ? raw('', 'reset') : answer(200, 'ok'),
  );
  t.is((await backend.get('key')).length, 2);
  t.is((await backend.get('key')).length, 2);
  t.deepEqual(
    server.requests.map(({ connection }) => connection),
    [0, 0, 1],
  );
});

test('one connection serves one caller after the other', async (t) => {
  const { backend, server } = await open(t, ({ number }) =>
    number % 3 === 0 ? answer(404, 'nothing here') : answer(200, 'ok'),
  );
  for (let i = 0; i < 30; i++) await backend.get('key').catch(() => undefined);
  t.deepEqual(new Set(server.requests.map(({ connection }) => connection)), new Set([0]));
});

test('a signal ends what is under way, with its reason', async (t) => {
  const { backend } = await open(t, ({ target }) =>
    target.endsWith('/slow') ? undefined : answer(200, 'ok'),
  );
  const controller = new AbortController();
  const reason = new Error('stopped');
  const { signal } = controller;
  const waiting = [1, 2, 3].map(() => backend.get('slow', { signal }));
  t.is((await backend.get('key', { signal })).length, 2);
  setImmediate(() => controller.abort(reason));
  for (const each of waiting) await t.throwsAsync(each, { is: reason });
  t.is((await backend.get('key')).length, 2);
});

test('where HEAD is not allowed, or silent, the first byte is asked for', async (t) => {
  for (const status of [403, 405, 501]) {
    const { backend, server } = await open(t, ({ method, target }) => {
      if (method === 'HEAD') return raw(`HTTP/1.1 ${status} No\r\nContent-Length: 9\r\n\r\n`);
      if (target.endsWith('none')) return answer(404);
      return answer(206, 'x', { 'Content-Range': 'bytes 0-0/1234' });
    });
    t.true(await backend.has(['none', 'key']));
    t.false(await backend.has(['none']));
    t.is((await backend.stat('key'))?.size, 1234);
    t.is(await backend.stat('none'), undefined);
    t.is(server.requests.filter(({ method }) => method === 'HEAD').length, 1);
  }
  const { backend } = await open(t, ({ method }) =>
    method === 'HEAD'
      ? raw('HTTP/1.1 200 OK\r\n\r\n', 'end')
      : answer(416, '', { 'Content-Range': 'bytes */0' }),
  );
  t.is((await backend.stat('key'))?.size, 0);
});

test('where nobody may look, nothing is missing', async (t) => {
  const { backend } = await open(t, () => answer(403, ''));
  await t.throwsAsync(async () => backend.has(['key']), { code: 'DENIED' });
  await t.throwsAsync(backend.stat('key'), { code: 'DENIED' });
});

test('a server that knows conditions is asked once for each object', async (t) => {
  const stored = new Set<string>();
  const { backend, server } = await open(t, ({ method, target, headers }) => {
    if (method === 'HEAD') return raw(`HTTP/1.1 ${stored.has(target) ? 200 : 404} X\r\n\r\n`);
    if (headers['if-none-match'] === '*' && stored.has(target)) return answer(412);
    stored.add(target);
    return answer(201);
  });
  for (const key of ['a', 'b', 'c']) {
    t.is(await backend.put(key, BODY, { ifAbsent: true }), 'stored');
    t.is(await backend.put(key, BODY, { ifAbsent: true }), 'present');
  }
  t.deepEqual(
    server.requests.map(({ method, target }) => `${method} ${target.slice(-1)}`),
    ['HEAD a', 'PUT a', 'PUT a', 'PUT a', 'PUT b', 'PUT b', 'PUT c', 'PUT c'],
  );
});

test('what cannot be written says why, and nothing is missing', async (t) => {
  let status = 0;
  const { backend } = await open(t, () => answer(status));
  for (const [code, statuses] of Object.entries({
    DENIED: [401, 403, 405],
    IO: [404, 409, 410, 413],
    TARGET_FULL: [507],
    UNAVAILABLE: [500, 503],
  })) {
    for (status of statuses) {
      await t.throwsAsync(backend.put('abcd/key', BODY), { code }, `put ${status}`);
    }
  }
  status = 403;
  await t.throwsAsync(backend.remove('key'), { code: 'DENIED' });
  await t.throwsAsync(
    async () => {
      for await (const _ of backend.list('')) t.fail();
    },
    { code: 'UNSUPPORTED' },
  );
});

test('puts of shared memory and of nothing arrive whole', async (t) => {
  const { backend, server } = await open(t, () => answer(204));
  const shared = new Uint8Array(new SharedArrayBuffer(100)).subarray(10, 50).fill(0x41);
  await backend.put('key', shared);
  await backend.put('key', new Uint8Array());
  t.deepEqual(
    server.requests.map(({ body, headers }) => [body, headers['content-length']]),
    [
      ['A'.repeat(40), '40'],
      ['', '0'],
    ],
  );
});
