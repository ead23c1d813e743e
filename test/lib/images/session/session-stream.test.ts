import { randomBytes } from 'node:crypto';
import test from 'ava';
import { CasError, isCasError } from '../../../../formats/errors.ts';
import { SESSION_WINDOW } from '../../../../formats/session-hello.ts';
import { sessionPair } from '../../../helpers/session-pair.ts';

test('messages arrive in order, compressed or not', async (t) => {
  const { near, far } = sessionPair();
  const contents = [new Uint8Array(0), new Uint8Array(100_000), Uint8Array.from(randomBytes(5000))];
  for (const [i, content] of contents.entries()) void near.send(16 + i, content);
  for (const [i, content] of contents.entries()) {
    const message = await far.receive();
    t.is(message?.kind, 16 + i);
    t.deepEqual(message?.content, content);
  }
  t.true(near.sentBytes < 7000);
  t.is(far.receivedBytes, near.sentBytes);
  await near.finish();
  t.is(await far.receive(), undefined);
  near.destroy();
  far.destroy();
});

test('whoever does not read is sent no more than the window, and all of it in the end', async (t) => {
  const { near, far } = sessionPair({ compresses: false });
  const piece = new Uint8Array(1024 * 1024);
  let sent = 0;
  const work = (async () => {
    for (let i = 0; i < 40; i++) {
      await near.send(20, piece);
      sent += piece.length;
    }
    await near.finish();
  })();
  await far.receive();
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.true(sent <= SESSION_WINDOW + 3 * piece.length);
  let received = 1;
  while ((await far.receive()) !== undefined) received += 1;
  await work;
  t.is(received, 40);
  near.destroy();
  far.destroy();
});

test('a failure of one side is the failure of the other, in one line', async (t) => {
  const { near, far } = sessionPair();
  const error = new CasError('TARGET_FULL', {
    subject: '/dev/sdx',
    step: 'open',
    reason: 'too\u001b[2J small',
  });
  await far.fail(error);
  const found = await t.throwsAsync(near.receive());
  t.true(isCasError(found));
  t.is((found as CasError).code, 'TARGET_FULL');
  t.is(found?.message, 'far: /dev/sdx: open: too?[2J small');
  await t.throwsAsync(near.send(16, new Uint8Array(1)), { message: found?.message });
  near.destroy();
  far.destroy();
});

test('the end of a stream is no success', async (t) => {
  const { near, far, there } = sessionPair();
  void near.send(16, new Uint8Array(10));
  t.is((await far.receive())?.kind, 16);
  there.end();
  const error = await t.throwsAsync(far.receive());
  t.is((error as CasError).code, 'UNAVAILABLE');
  near.destroy();
  far.destroy();
});

test('bytes that were harmed on the way are refused', async (t) => {
  const { far, there } = sessionPair();
  there.write('Welcome to server\n');
  const error = await t.throwsAsync(far.receive());
  t.is((error as CasError).code, 'FORMAT');
  far.destroy();
});

test('warnings are told beside the messages', async (t) => {
  const { near, far, warnings } = sessionPair();
  await near.warn('the map is old');
  void near.send(30, new Uint8Array(3));
  t.is((await far.receive())?.kind, 30);
  t.deepEqual(warnings, ['near: the map is old']);
  near.destroy();
  far.destroy();
});
