/** Section "Which kind of thing" of the contract: how each command tells what a word is. */
import { type Row, testRows } from './both.ts';

const MAKE_SUFFIX =
  'File to create does not have valid suffix, refusing. (May be one of: .catar, .caidx, .caibx)';
const READ_SUFFIX =
  'File to read from does not have valid suffix, refusing. (May be one of: .catar, .caidx, .caibx)';
const MAKE_WHAT =
  '"make" operation may only be combined with --what=archive, --what=archive-index or --what=blob-index.';
const EXTRACT_WHAT =
  '"extract" operation may only be combined with --what=archive, --what=archive-index, --what=blob-index.';

const listWhat = (verb: string): string =>
  `"${verb}" operation may only be combined with --what=archive, archive-index, or directory.`;

/** Error A: a kind that the command does not know. */
const unfit: readonly Row[] = [
  ...['blob', 'directory'].flatMap((what): Row[] => [
    {
      law: `make knows no ${what}`,
      args: ['make', `--what=${what}`, 'y', 'tree'],
      both: MAKE_WHAT,
    },
    {
      law: `extract knows no ${what}`,
      args: ['extract', `--what=${what}`, 'x.caibx', 'y'],
      both: EXTRACT_WHAT,
    },
  ]),
  ...['list', 'mtree', 'stat'].flatMap((verb) =>
    ['blob', 'blob-index'].map(
      (what): Row => ({
        law: `${verb} knows no ${what}`,
        args: [verb, `--what=${what}`, 'tree'],
        both: listWhat(verb),
      }),
    ),
  ),
  {
    law: 'the kind is refused before the file is looked for',
    args: ['list', '--what=blob', 'nothing'],
    both: listWhat('list'),
  },
];

/** The first rule wins over the second, the second over the third. */
const order: readonly Row[] = [
  {
    law: '--what= of make wins over the suffix of the output',
    args: ['make', '--what=archive', 'y.caibx', 'tree'],
    after: 'cmp y.caibx x.catar',
    both: { status: 0, after: '' },
  },
  {
    law: '--what= of extract wins over the suffix of the input',
    before: 'cp x.catar y.caibx',
    args: ['extract', '--what=archive', 'y.caibx', 'out'],
    after: 'diff -r tree out',
    both: { status: 0, after: '' },
  },
  {
    law: '--what= of list wins over the suffix of the input',
    before: 'cp x.caidx y.catar',
    args: ['list', '--what=archive-index', 'y.catar'],
    both: { status: 0, stdout: /^drwxr-xr-x \.\n/ },
  },
  {
    law: '--what=blob of digest reads an archive as bytes',
    args: ['digest', '--what=blob', 'x.caidx'],
    both: { status: 0, stdout: /^[0-9a-f]{64}\n$/ },
  },
  {
    law: '--what=blob-index of digest reads an index of any name',
    before: 'cp x.caibx y',
    args: ['digest', '--what=blob-index', 'y'],
    both: { status: 0, stdout: /^[0-9a-f]{64}\n$/ },
  },
  {
    law: '--what=archive of digest reads an archive of any name',
    before: 'cp x.catar y',
    args: ['digest', '--what=archive', 'y'],
    both: { status: 0, stdout: /^[0-9a-f]{64}\n$/ },
  },
  {
    law: 'make looks at the output only',
    args: ['make', 'y.catar', 'x.caibx'],
    both: 'Input is a regular file or block device, but attempted to make a directory archive. Refusing.',
  },
  {
    law: 'extract looks at the input only',
    args: ['extract', 'x.caibx', 'y.caidx'],
    after: 'cmp blob y.caidx',
    both: { status: 0, after: '' },
  },
  {
    law: 'a suffix without anything before it is none: make',
    args: ['make', '.caidx', 'tree'],
    both: MAKE_SUFFIX,
  },
  {
    law: 'a suffix without anything before it is none: extract',
    before: 'cp x.caidx .caidx',
    args: ['extract', '.caidx', 'out'],
    both: READ_SUFFIX,
  },
  {
    law: 'a folder is nothing before the suffix',
    args: ['make', './.caidx', 'tree'],
    both: MAKE_SUFFIX,
  },
  { law: 'make refuses a name without suffix', args: ['make', 'y', 'tree'], both: MAKE_SUFFIX },
  {
    law: 'extract refuses a name without suffix',
    args: ['extract', 'blob', 'y'],
    both: READ_SUFFIX,
  },
  {
    law: 'make to - by the type: a folder is an archive',
    args: ['make', '-', 'tree'],
    shell: 'exec "$@" </dev/null >y',
    after: 'cmp x.catar y',
    both: { status: 0, after: '' },
  },
  {
    law: 'digest by the type: a file of another name is a blob',
    args: ['digest', 'blob'],
    both: { status: 0, stdout: /^[0-9a-f]{64}\n$/ },
  },
  {
    law: 'digest by the type: with a path below it an archive',
    before: 'cp x.catar y',
    args: ['digest', 'y', 'a'],
    both: { status: 0, stdout: /^[0-9a-f]{64}\n$/ },
  },
];

/** Error C: nothing tells. */
const undecided: readonly Row[] = [
  {
    law: 'extract from - to something new cannot tell',
    args: ['extract', '-', 'y'],
    shell: 'exec "$@" <x.caidx',
    both: "Couldn't figure out what to extract. Refusing. Use --what=archive, --what=archive-index or --what=blob-index.",
  },
  {
    law: 'list of a file that nothing is known of',
    args: ['list', 'blob'],
    both: 'Input should be a directory, .catar or .caidx file. Refusing.',
  },
];

/** Words beyond the synopsis are refused before anything else. */
const tooMany: readonly Row[] = [
  {
    law: 'make takes two words',
    args: ['make', '--what=blob', 'nothing', 'nothing', 'c'],
    both: 'A pair of output and input path/URL expected.',
  },
  {
    law: 'extract takes three words',
    args: ['extract', '--what=blob', 'nothing', 'b', 'c', 'd'],
    both: 'Input path/URL, output path, and subtree path expected.',
  },
  ...['list', 'mtree', 'stat', 'digest'].map(
    (verb): Row => ({
      law: `${verb} takes two words`,
      args: [verb, 'nothing', 'b', 'c'],
      both: 'Input path/URL and subtree path expected.',
    }),
  ),
];

const LOCAL = { status: 1, stdout: '' };

const locators: readonly Row[] = [
  { law: 'an empty word has no suffix: make', args: ['make', '', 'tree'], both: MAKE_SUFFIX },
  { law: 'an empty word has no suffix: extract', args: ['extract', '', 'y'], both: READ_SUFFIX },
  {
    law: 'an empty word is no place: input of make',
    args: ['make', 'y.catar', ''],
    both: 'Failed to determine class of locator: ',
  },
  {
    law: 'an empty word is no place: output of extract',
    args: ['extract', 'x.catar', ''],
    both: 'Failed to determine locator class: ',
  },
  {
    law: 'an empty word is no place: digest',
    args: ['digest', ''],
    both: 'Failed to determine class of locator: ',
  },
  ...['list', 'mtree', 'stat'].map(
    (verb): Row => ({
      law: `an empty word is no place: ${verb}`,
      args: [verb, ''],
      both: 'Failed to determine type of locator: ',
    }),
  ),
  {
    law: 'make reads local files: URL',
    args: ['make', 'y.caibx', 'http://localhost/x'],
    both: 'Input must be local path: http://localhost/x',
  },
  {
    law: 'make reads local files: ssh',
    args: ['make', 'y.caibx', 'host:x'],
    both: 'Input must be local path: host:x',
  },
  {
    law: 'extract writes local files: URL',
    args: ['extract', 'x.caibx', 'http://localhost/x'],
    both: 'Output must be local path: http://localhost/x',
  },
  {
    law: 'extract writes local files: ssh',
    args: ['extract', 'x.caibx', 'user@host:x'],
    both: 'Output must be local path: user@host:x',
  },
  {
    law: 'what looks like a host is a path after ./',
    before: 'cp x.caibx a:b.caibx',
    args: ['digest', './a:b.caibx'],
    both: { status: 0, stdout: /^[0-9a-f]{64}\n$/ },
  },
  {
    law: 'a colon behind a slash belongs to a path',
    before: 'mkdir d; cp x.caibx default.castr d -r; mv d/x.caibx d/a:b.caibx',
    args: ['digest', 'd/a:b.caibx'],
    both: { status: 0, stdout: /^[0-9a-f]{64}\n$/ },
  },
  {
    law: 'file:/// is a path, with %XX decoded',
    before: 'cp x.catar "y z.catar"',
    args: ['list', 'file://FOLDER/y%20z.catar'],
    both: { status: 0, stdout: /^drwxr-xr-x \.\n/ },
  },
  {
    law: 'file://localhost/ is a path',
    args: ['make', 'file://localhostFOLDER/y.catar', 'tree'],
    after: 'cmp x.catar y.catar',
    both: { status: 0, after: '' },
  },
  {
    law: 'another host in file:// is no path',
    args: ['make', 'y.catar', 'file://otherFOLDER/tree'],
    both: { ...LOCAL, stderr: 'Input must be local path: file://otherFOLDER/tree\n' },
  },
];

testRows([...unfit, ...order, ...undecided, ...tooMany, ...locators]);
