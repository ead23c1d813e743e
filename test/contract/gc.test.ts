/** The command gc: which chunks go, what is printed, and every message (spec/command-line.md). */
import { type Row, testRows } from './both.ts';

/** Other blobs' chunks are in the store as well, made before gc begins by all clocks. */
const MORE =
  'casync make other.caibx short >/dev/null; cat short blob >b2; casync make b2.caibx b2 >/dev/null; sleep 0.1';
const LEFT = 'find default.castr | sort';
const QUIET = { status: 0, stdout: '', stderr: '' } as const;
/** One chunk that no index of ours needs. */
const STRAY_ID = 'a'.repeat(64);

const removal: readonly Row[] = [
  {
    law: 'what no index needs goes, without a word',
    before: MORE,
    args: ['gc', 'x.caibx'],
    after: LEFT,
    both: QUIET,
  },
  {
    law: 'several indexes are kept together, of trees and of blobs',
    before: MORE,
    args: ['gc', 'x.caibx', 'x.caidx'],
    after: `${LEFT}; casync digest x.caidx; casync digest x.caibx`,
    both: QUIET,
  },
  {
    law: 'where everything is needed nothing goes',
    before: MORE,
    args: ['gc', 'x.caibx', 'x.caidx', 'other.caibx', 'b2.caibx'],
    after: LEFT,
    both: QUIET,
  },
  {
    law: '-v counts and names',
    before: MORE,
    args: ['gc', '-v', 'x.caidx'],
    shell: '"$@" </dev/null >out; s=$?; sort out; exit $s',
    after: LEFT,
    both: {
      status: 0,
      stdout:
        /^Chunk store usage: \d+ references, \d+ chunks\n(.*\n)*Removed \d+ chunks, \d+ directories, \d+ chunks remaining\.\n/m,
      stderr: '',
    },
  },
  ...['-n', '--dry-run'].map(
    (option): Row => ({
      law: `${option} removes nothing and says how much it would`,
      before: MORE,
      args: ['gc', option, 'x.caidx'],
      after: LEFT,
      both: {
        status: 0,
        stdout: /^Would remove \d+ chunks, \d+ chunks remaining\.\n$/,
        stderr: '',
      },
    }),
  ),
  {
    law: '-nv names what would go',
    before: MORE,
    args: ['gc', '-nv', 'x.caidx'],
    shell: '"$@" </dev/null >out; s=$?; sort out; exit $s',
    after: LEFT,
    both: { status: 0, stdout: /^Would remove chunk .*\.\n/m, stderr: '' },
  },
  {
    law: 'the store of --store',
    before: 'cp -r default.castr s.castr',
    args: ['gc', '--store=s.castr', 'x.caidx'],
    after: 'find default.castr s.castr | sort',
    both: QUIET,
  },
  {
    law: 'the store of the environment',
    before: 'cp -r default.castr s.castr',
    env: { CASYNC_STORE: 's.castr' },
    args: ['gc', 'x.caidx'],
    after: 'find default.castr s.castr | sort',
    both: QUIET,
  },
  {
    law: 'else the store of the first index',
    before: 'mkdir d; cp x.caibx d; cp -r default.castr d',
    args: ['gc', 'd/x.caibx', 'x.caidx'],
    after: 'find default.castr d | sort',
    both: QUIET,
  },
  {
    law: 'uncompressed chunks, temporary files and strange names stay',
    before: `mkdir default.castr/aaaa; for n in ${STRAY_ID} ${STRAY_ID}.cacnk.123.tmp x; do echo >default.castr/aaaa/$n; done`,
    args: ['gc', 'x.caibx', 'x.caidx'],
    after: LEFT,
    both: QUIET,
  },
  {
    law: 'an empty folder of chunks goes with its last chunk',
    before: `mkdir default.castr/aaaa; echo >default.castr/aaaa/${STRAY_ID}.cacnk`,
    args: ['gc', 'x.caibx', 'x.caidx'],
    after: LEFT,
    both: QUIET,
  },
];

const messages: readonly Row[] = [
  { law: 'no index', args: ['gc'], both: 'Expected at least one argument.' },
  {
    law: 'an index that is not there',
    args: ['gc', 'x.caibx', 'nothing.caibx'],
    after: LEFT,
    both: {
      stdout: '',
      stderr: 'Failed to open index "nothing.caibx": No such file or directory\n',
    },
    ours: { status: 10 },
    reference: { status: 1 },
  },
];

/** Deliberate differences: safer. */
const safer: readonly Row[] = [
  {
    law: 'chunk files beside the store stay (the reference removes them)',
    before: `echo >${STRAY_ID}.cacnk`,
    args: ['gc', 'x.caibx', 'x.caidx'],
    after: 'ls *.cacnk 2>/dev/null',
    both: QUIET,
    ours: { after: `${STRAY_ID}.cacnk\n` },
    reference: { after: '' },
  },
  {
    law: 'other things in the store are left alone (the reference stops at them)',
    before:
      'echo >default.castr/README; mkdir default.castr/notes; echo >default.castr/notes/a.cacnk',
    args: ['gc', 'x.caibx'],
    after: 'ls default.castr/README default.castr/notes',
    both: { stdout: '' },
    ours: {
      status: 0,
      stderr: '',
      after: 'default.castr/README\n\ndefault.castr/notes:\na.cacnk\n',
    },
    reference: { status: 1, stderr: /./, after: /.*/ },
  },
  {
    law: 'a damaged index ends the run before anything goes (the reference may abort)',
    before: 'head -c 100 x.caidx >y.caidx',
    args: ['gc', 'x.caibx', 'y.caidx'],
    after: 'ls default.castr | wc -l',
    both: { stdout: '' },
    ours: { status: 14, stderr: /y\.caidx/, after: /^(?!0)/ },
    reference: { status: 'any failure', stderr: /.*/, after: /^(?!0)/ },
  },
  {
    law: 'chunks with the suffix of the environment count (not for the reference)',
    before: `CASYNC_COMPRESSED_CHUNK_SUFFIX=.xz casync make --store=s.castr y.caibx short >/dev/null; mkdir s.castr/aaaa; echo >s.castr/aaaa/${STRAY_ID}.xz`,
    env: { CASYNC_COMPRESSED_CHUNK_SUFFIX: '.xz' },
    args: ['gc', '--store=s.castr', 'y.caibx'],
    after: 'ls s.castr | wc -l',
    both: QUIET,
    ours: { after: '1\n' },
    reference: { after: '2\n' },
  },
];

testRows([...removal, ...messages, ...safer]);
