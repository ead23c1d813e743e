import test from 'ava';
import { failureText } from '../../cli/failure-text.ts';
import { CasError } from '../../formats/errors.ts';

test('a failure is one line, a mistake of the program is called so', (t) => {
  t.is(failureText(new CasError('IO', { subject: 'x', reason: 'why' })), 'x: why');
  t.is(failureText(new Error('oops')), 'Internal error: oops');
});
