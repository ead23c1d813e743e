import { createRequire } from 'node:module';
import test from 'ava';
import fc from 'fast-check';
import { compilePattern, matchesName } from '../../../lib/make/fnmatch.ts';
import { requirement } from '../../helpers/requirements.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const matches = (pattern: string, name: string): boolean =>
  matchesName(compilePattern(bytesOf(pattern)), bytesOf(name));

/** What fnmatch(3) says; undefined where it cannot be called. The C locale is in force. */
function loadReference(): ((pattern: string, name: string) => boolean) | undefined {
  const FNM_PERIOD = 4;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const fnmatch = koffi.load('libc.so.6').func('int fnmatch(const char *, const char *, int)');
    const terminated = (text: string) => Buffer.from(`${text}\0`, 'latin1');
    return (pattern, name) => fnmatch(terminated(pattern), terminated(name), FNM_PERIOD) === 0;
  } catch {
    return undefined;
  }
}

const BITS = ['[:alpha:]', '[:digit:]', '[:foo:]', '[.a.]', '[.-.]', '[.ab.]', '[=b=]', '[=', '[:'];
const BYTES = [...'ab[]!^-.\\*?=:0Z', '\xe4'];

/** Patterns with a liking for brackets, well and badly formed. */
const patterns = fc
  .tuple(
    fc.constantFrom('', '[', '[!', '*[', '?'),
    fc.array(fc.constantFrom(...BYTES, ...BYTES, ...BITS), { maxLength: 7 }),
    fc.constantFrom('', ']', ']*'),
  )
  .map(([start, middle, end]) => start + middle.join('') + end)
  // What a range up to a class means is undefined, and the C library is inconsistent about it; of
  // `[[.a.]-]` it forgets the a.
  .filter((pattern) => !/-\[[:=]|\.\]-\]/.test(pattern));

const names = fc
  .array(fc.constantFrom(...BYTES), { minLength: 1, maxLength: 4 })
  .map((bytes) => bytes.join(''));

test('patterns match what the C library matches', (t) => {
  const reference = loadReference();
  if (!requirement(t, { conditions: { 'koffi and libc.so.6': reference !== undefined } })) return;
  // A name that is the pattern itself finds what is taken literally.
  const cases = patterns.chain((p) => fc.tuple(fc.constant(p), fc.oneof(names, fc.constant(p))));
  const law = fc.property(cases, ([pattern, name]) => {
    return matches(pattern, name) === reference?.(pattern, name);
  });
  t.notThrows(() =>
    fc.assert(law, { numRuns: 20_000, seed: Number(process.env.CASYNC_TEST_SEED ?? 1) }),
  );
});

test('classes hold what they hold in the C library', (t) => {
  const reference = loadReference();
  if (!requirement(t, { conditions: { 'koffi and libc.so.6': reference !== undefined } })) return;
  const classes = 'alnum alpha blank cntrl digit graph lower print punct space upper xdigit';
  for (const name of classes.split(' ')) {
    for (let byte = 1; byte < 256; byte++) {
      const text = `x${String.fromCharCode(byte)}`;
      const pattern = `x[[:${name}:]]`;
      t.is<unknown, unknown>(matches(pattern, text), reference?.(pattern, text), `${name} ${byte}`);
    }
  }
});

test('a leading dot is matched by a dot only', (t) => {
  for (const pattern of ['*', '?a', '[.]a', '[!b]a', '*a'])
    t.false(matches(pattern, '.a'), pattern);
  for (const pattern of ['.a', '\\.a', '.*', '.?']) t.true(matches(pattern, '.a'), pattern);
  t.true(matches('a*', 'a.'));
});

test('stars match any bytes', (t) => {
  t.true(matches('*', 'abc'));
  t.true(matches('a*b*c', 'axbbxbc'));
  t.false(matches('a*b*c', 'axcxb'));
  t.true(matches('***', ''));
});

test('a bracket that is not closed is an ordinary byte', (t) => {
  t.true(matches('[a', '[a'));
  t.true(matches('x[!', 'x[!'));
  t.false(matches('[a', 'a'));
});

test('a backslash at the end matches nothing', (t) => {
  t.false(matches('a\\', 'a\\'));
  t.false(matches('a\\', 'a'));
});

test('hostile patterns take no longer than the square of the name', (t) => {
  const name = 'a'.repeat(255);
  const start = performance.now();
  for (const pattern of [
    '*a'.repeat(127),
    '*'.repeat(65535),
    '*[ab]'.repeat(120),
    '*?'.repeat(127),
  ]) {
    t.false(matches(`${pattern}b`, name), pattern.slice(0, 8));
  }
  for (const part of ['[a', '[=', '[[:alpha:]', '[[.a', '[!a-', '[[:x:]', '[^[=b=]']) {
    t.false(matches(part.repeat(65535 / part.length), name), part);
  }
  t.true(performance.now() - start < 2000);
});
