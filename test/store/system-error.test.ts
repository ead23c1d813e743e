import { readFileSync } from 'node:fs';
import test from 'ava';
import { FormatError } from '../../formats/errors.ts';
import { systemErrorText, toStorageError } from '../../store/system-error.node.ts';

function thrownBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

test('a failed call gets the text of the C library', (t) => {
  t.is(systemErrorText(thrownBy(() => readFileSync('/no/such'))), 'No such file or directory');
  t.is(systemErrorText(thrownBy(() => readFileSync('/'))), 'Is a directory');
});

test('what has no number keeps its message', (t) => {
  t.is(systemErrorText(new Error('odd')), 'odd');
  t.is(systemErrorText('odd'), 'odd');
  t.is(systemErrorText({ code: 'EUNHEARDOF' }), 'EUNHEARDOF');
});

test('failures are sorted by what can be done about them', (t) => {
  const codes = {
    ...{ EACCES: 'DENIED', EPERM: 'DENIED', EROFS: 'DENIED' },
    ...{ ENOSPC: 'TARGET_FULL', EDQUOT: 'TARGET_FULL' },
    ...{ ECONNREFUSED: 'UNAVAILABLE', ESTALE: 'UNAVAILABLE', EIO: 'IO', EUNHEARDOF: 'IO' },
  };
  for (const [code, expected] of Object.entries(codes)) {
    const cause = Object.assign(new Error('text'), { code });
    const error = toStorageError(cause, 'file', 'write');
    t.is(error.code, expected);
    t.is(error.cause, cause);
    t.is(error.retry, expected === 'UNAVAILABLE' ? 'later' : 'never');
  }
});

test('an error of ours stays, a programming mistake is thrown', (t) => {
  const ours = new FormatError('index', 'header', 0, 'magic');
  t.is(toStorageError(ours, 'file', 'read'), ours);
  t.throws(() => toStorageError(new TypeError('mistake'), 'file', 'read'), {
    instanceOf: TypeError,
  });
});
