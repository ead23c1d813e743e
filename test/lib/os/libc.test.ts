import { closeSync, constants as files } from 'node:fs';
import { constants } from 'node:os';
import test from 'ava';
import { loadKoffi } from '../../../lib/os/koffi.node.ts';
import { lastErrno, libc } from '../../../lib/os/libc.node.ts';

test('the error number is that of the call that failed, whatever has happened since', (t) => {
  const missing = Buffer.from('/does/not/exist\0');
  t.is(libc()?.openat(-100, missing, files.O_RDONLY), -1);
  loadKoffi()?.errno(constants.errno.EAGAIN);
  t.is(lastErrno(), constants.errno.ENOENT);
});

test('a call that would have to wait says so', (t) => {
  const c = libc();
  const [EFD_NONBLOCK, length] = [0o4000, 8];
  const events = loadKoffi()?.load(null).func('int eventfd(uint32_t, int)');
  const descriptor = Number(events?.(0, EFD_NONBLOCK));
  t.teardown(() => closeSync(descriptor));
  t.is(c?.read(descriptor, new Uint8Array(length), length), -1);
  t.is(lastErrno(), constants.errno.EAGAIN);
});
