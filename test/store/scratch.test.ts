import test from 'ava';
import { Scratch } from '../../store/scratch.ts';

test('memory is used again, and by one caller at a time', (t) => {
  const scratch = new Scratch();
  const first = scratch.take(1000);
  const second = scratch.take(1000);
  t.true(first.length >= 1000);
  t.not(first.buffer, second.buffer);
  scratch.release(first);
  t.is(scratch.take(900).buffer, first.buffer);
});

test('memory that is too small is replaced', (t) => {
  const scratch = new Scratch();
  scratch.release(scratch.take(0));
  t.true(scratch.take(1_000_000).length >= 1_000_000);
});

test('much memory is given back', (t) => {
  const scratch = new Scratch();
  const large = scratch.take(100_000_000);
  scratch.release(large);
  t.not(scratch.take(1).buffer, large.buffer);
});
