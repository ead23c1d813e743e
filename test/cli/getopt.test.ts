import test from 'ava';
import { getopt, type OptionShape } from '../../cli/getopt.ts';
import { isCasError } from '../../formats/errors.ts';

const OPTIONS: readonly OptionShape[] = [
  { long: 'verbose', short: 'v', takesValue: false },
  { long: 'dry-run', short: 'n', takesValue: false },
  { long: 'log-level', short: 'l', takesValue: true },
  { long: 'store', takesValue: true },
  { long: 'seed', takesValue: true },
  { long: 'seed-output', takesValue: true },
  { long: 'sync', takesValue: true, neverShortened: true },
];

function parse(argv: readonly string[], stopAtFirstWord = false): string[] {
  const settings = { program: 'casync', stopAtFirstWord };
  return [...getopt(argv, OPTIONS, settings)].map((token) => {
    if (token.kind === 'word') return token.text;
    return token.value === undefined ? `--${token.long}` : `--${token.long}=${token.value}`;
  });
}

function messageOf(argv: readonly string[]): string {
  try {
    parse(argv);
  } catch (error) {
    if (isCasError(error)) return error.message;
    throw error;
  }
  return 'no error';
}

test('options may stand anywhere among the words', (t) => {
  const expected = ['--verbose', 'make', '--store=s', 'out', 'in', '--dry-run'];
  t.deepEqual(parse(['-v', 'make', '--store=s', 'out', 'in', '-n']), expected);
});

test('a value may follow as a word of its own', (t) => {
  t.deepEqual(parse(['--store', '--seed', 'x']), ['--store=--seed', 'x']);
  t.deepEqual(parse(['-l', '3', 'x']), ['--log-level=3', 'x']);
});

test('short options bundle, the last may have its value glued on', (t) => {
  t.deepEqual(parse(['-vnlerr', 'x']), ['--verbose', '--dry-run', '--log-level=err', 'x']);
});

test('a long option may be cut to an unambiguous beginning, an exact name wins', (t) => {
  t.deepEqual(parse(['--verb', '--st=a', '--seed=b']), ['--verbose', '--store=a', '--seed=b']);
});

test('an option that casync 2 lacks has no beginnings, and takes none away', (t) => {
  t.deepEqual(parse(['--sync=a']), ['--sync=a']);
  t.is(messageOf(['--sy=a']), "casync: unrecognized option '--sy=a'");
  t.false(messageOf(['--s']).includes("'--sync'"));
});

test('two hyphens end the options, one hyphen is a word', (t) => {
  t.deepEqual(parse(['-', '--', '-v', '--']), ['-', '-v', '--']);
});

test('the first word ends the options where POSIX asks for it', (t) => {
  t.deepEqual(parse(['-v', 'list', '-n'], true), ['--verbose', 'list', '-n']);
});

const MESSAGES: readonly (readonly [readonly string[], string])[] = [
  [['--foo'], "casync: unrecognized option '--foo'"],
  [['--foo=1'], "casync: unrecognized option '--foo=1'"],
  [
    ['--s=1'],
    "casync: option '--s=1' is ambiguous; possibilities: '--store' '--seed' '--seed-output'",
  ],
  [['-Z'], "casync: invalid option -- 'Z'"],
  [['--store'], "casync: option '--store' requires an argument"],
  [['-l'], "casync: option requires an argument -- 'l'"],
  [['--verbose=1'], "casync: option '--verbose' doesn't allow an argument"],
  [['--s'], "casync: option '--s' is ambiguous; possibilities: '--store' '--seed' '--seed-output'"],
];

for (const [argv, expected] of MESSAGES) {
  test(`${argv.join(' ')} is refused in the words of the C library`, (t) => {
    t.is(messageOf(argv), expected);
  });
}
