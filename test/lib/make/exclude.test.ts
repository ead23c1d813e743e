import test from 'ava';
import { compareBytes } from '../../../formats/bytes.ts';
import { FormatError, LimitExceeded } from '../../../formats/errors.ts';
import { ExcludeRules } from '../../../lib/make/exclude.ts';
import { vectors } from '../../helpers/golden.ts';

const RULE_FILE = '.caexclude';

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

/** Rules of one file with this text, one byte a character. */
const rulesOf = (text: string): ExcludeRules => new ExcludeRules().withFile(bytesOf(text));

/** A folder as nested maps; null stands for a file. */
interface Folder extends Map<string, Folder | null> {}

function treeOf(paths: readonly string[]): Folder {
  const root: Folder = new Map();
  for (const path of paths) {
    const names = path.split('/');
    let folder = root;
    for (const name of names.slice(0, -1)) {
      const next: Folder = folder.get(name) ?? new Map();
      folder.set(name, next);
      folder = next;
    }
    folder.set(names[names.length - 1], null);
  }
  return root;
}

/** Paths that are kept, in archive order. */
function keptOf(
  folder: Folder,
  files: Readonly<Record<string, string>>,
  prefix = '',
  inherited = new ExcludeRules(),
): string[] {
  const text = files[`${prefix}${RULE_FILE}`];
  const rules = text === undefined ? inherited : inherited.withFile(Buffer.from(text));
  const names = [...folder.keys()].map((name) => Buffer.from(name)).sort(compareBytes);
  return names.flatMap((name) => {
    const child = folder.get(name.toString()) ?? null;
    if (rules.excludes(name, child !== null)) return [];
    const path = `${prefix}${name}`;
    return child ? [path, ...keptOf(child, files, `${path}/`, rules.forChild(name))] : [path];
  });
}

interface Case {
  readonly law: string;
  readonly paths: readonly string[];
  readonly rules: Readonly<Record<string, string>>;
  readonly kept?: readonly string[];
  readonly message?: string;
}

for (const { law, paths, rules, kept } of vectors<{ cases: readonly Case[] }>('excludes').cases) {
  test(`as the original: ${law}`, (t) => {
    const tree = treeOf([...paths, ...Object.keys(rules)]);
    if (kept) t.deepEqual(keptOf(tree, rules), kept);
    else t.throws(() => keptOf(tree, rules), { instanceOf: FormatError });
  });
}

test('without rules nothing is excluded', (t) => {
  t.false(new ExcludeRules().excludes(bytesOf('a'), false));
});

test('a file of rules changes the value that it makes and no other', (t) => {
  const none = new ExcludeRules();
  none.withFile(bytesOf('a'));
  t.false(none.excludes(bytesOf('a'), false));
});

test('a keep rule above wins over a rule below', (t) => {
  const rules = rulesOf('!a\n').forChild(bytesOf('sub')).withFile(bytesOf('a\n'));
  t.false(rules.excludes(bytesOf('a'), false));
});

test('a name that is not text is matched byte by byte', (t) => {
  const rules = rulesOf('\xe4[\xf0-\xff]\n');
  t.true(rules.excludes(bytesOf('\xe4\xf6'), false));
  t.false(rules.excludes(bytesOf('\xe4\xe0'), false));
});

test('a blank behind the exclamation mark belongs to the pattern', (t) => {
  t.true(rulesOf('! a\na\n').excludes(bytesOf('a'), false));
});

test('a refusal names line and byte', (t) => {
  const refusal = (text: string) =>
    t.throws(() => rulesOf(text), { instanceOf: FormatError })?.message;
  const path = 'must not contain "." or ".." as a component';
  t.is(refusal('a\n\n b/..\n'), `exclude file line 3 at byte 3: ${path}`);
  t.is(refusal('a\0./b'), `exclude file line 2 at byte 2: ${path}`);
  t.is(refusal('//'), 'exclude file line 1 at byte 0: must name something');
  t.is(refusal('#x\n!\n'), 'exclude file line 2 at byte 3: must name something');
});

test('lines have at most 65535 bytes', (t) => {
  t.true(rulesOf(`${' '.repeat(65534)}a\n`).excludes(bytesOf('a'), false));
  t.throws(() => rulesOf(`${' '.repeat(65535)}a\n`), { instanceOf: FormatError });
});

test('the number of rules has a limit, over all levels', (t) => {
  const rules = rulesOf('a\n'.repeat(100_000));
  t.throws(() => rules.withFile(bytesOf('a\n')), { instanceOf: LimitExceeded });
  t.throws(() => rulesOf('a\n'.repeat(100_001)), { instanceOf: LimitExceeded });
  t.notThrows(() => rules.withFile(bytesOf('# nothing\n')));
});
