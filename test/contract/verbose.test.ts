/** What `-v` says, line by line as the reference (spec/command-line.md, "Verbose"). */
import { type Row, testRows } from './both.ts';

/** Takes out the reference's progress sign, times, and numbers of a cache. Standard output stays as it is. */
const NORMALISED = `set -o pipefail
  { "$@" </dev/null 2>&1 >&3 |
    sed -E 's/[-\\\\|/]\\x08//g; /^(Time spent|Total extract)/ s/: .*/: T/
      /^Cache hits/ s/[0-9]+/N/g' >&2; } 3>&1`;

function verbose(law: string, args: string, more: Partial<Row> = {}): Row {
  return { law, args: ['-v', ...args.split(' ')], shell: NORMALISED, ...more };
}

const SEEDED = /^(Seed(ing|ed) .*\n)+/;
const FROM_SEED = /local seed: [1-9]\d* \(100%\)/;

testRows([
  verbose('make of an archive', 'make y.catar tree'),
  verbose('make of an archive index', 'make y.caidx tree'),
  verbose('make over chunks that are there', 'make --chunk-size=4096 y.caidx tree', {
    before: 'casync make --chunk-size=4096 z.caidx tree >&-',
  }),
  verbose('make with a cache', 'make --cache=cache y.caidx tree'),
  verbose('make of a blob index', 'make y.caibx blob'),
  verbose('make of a blob index with features', 'make --with=xattrs y.caibx blob'),
  verbose('make with fewer features', 'make --without=privileged y.catar tree'),
  verbose('make with features of other file systems', 'make --with=fat --with=unix y.catar tree'),
  verbose(
    'make with other rules of what is left out',
    'make --exclude-submounts=yes --exclude-nodump=no --without=all y.catar tree',
  ),
  verbose('make with another digest', 'make --digest=sha256 y.caidx tree'),
  verbose('list of a folder', 'list tree'),
  verbose('list of an archive', 'list x.catar'),
  verbose('list of a part of an index', 'list x.caidx sub'),
  verbose('list with a seed', 'list --seed=tree x.caidx', {
    both: { stderr: /\nSeeding sub\nSeeding sub\/a blank\n/ },
  }),
  verbose('mtree of an index', 'mtree x.caidx'),
  verbose('stat of a part of an archive', 'stat x.catar sub/b'),
  verbose('digest of a folder', 'digest tree'),
  verbose('digest of a blob', 'digest blob'),
  verbose('digest of an archive', 'digest x.catar'),
  verbose('digest of an archive index', 'digest x.caidx'),
  verbose('digest of a blob index', 'digest x.caibx'),
  verbose('digest with a seed', 'digest --seed=tree x.caidx'),
  verbose('digest of a part names all that is in it', 'digest x.caidx sub', {
    ours: { stderr: /\nProcessing sub\nProcessing sub\/a blank\n(.*\n)*Processed sub\n$/ },
    reference: { stderr: /\nProcessing sub\/a blank\n(.*\n)*Processed sub\n$/ },
  }),
  verbose('extract of an archive', 'extract x.catar out'),
  verbose('extract of an archive index', 'extract x.caidx out'),
  verbose('extract of a blob index', 'extract x.caibx out'),
  verbose('extract with fewer features', 'extract --without=privileged x.catar out'),
  verbose('extract with a seed', 'extract --seed=tree x.caidx out', {
    both: { stderr: FROM_SEED },
  }),
  verbose('extract of a blob with a seed', 'extract --seed=blob x.caibx out', {
    both: { stderr: FROM_SEED },
  }),
  verbose('extract over an older tree whose store has all chunks', 'extract x.caidx out', {
    before: 'casync extract x.caidx out',
    ours: { stderr: /^Extracting \.\/\n(.*\n)*.* local store: [1-9]\d* \(100%\)/ },
    reference: { stderr: FROM_SEED },
  }),
  verbose('extract over an older tree whose store lacks chunks', 'extract x.caidx out', {
    before: 'casync extract x.caidx out; rm -r default.castr',
    both: { stderr: SEEDED },
  }),
]);
