/** The command extract: each input with each output, and every message (spec/command-line.md). */
import { type Row, removeMiddle, testRows } from './both.ts';

const SAME_BLOB = { status: 0, stdout: '', stderr: '', after: '' } as const;
const A_FOLDER = 'Output is a directory, but attempted to extract blob index. Refusing.';
const NO_FOLDER = 'Output is a regular file or block device, but attempted to extract an archive.';
const NEITHER = 'Output is neither a directory, a regular file, nor a block device. Refusing.';
/** What the reference says of standard output as a seed. */
const STRAY_WARNING = 'Failed to add existing file as seed (null), ignoring: Invalid argument\n';

/** Everything of a tree but the times of its folders, which differ between copies. */
const SHOW = (folder: string): string =>
  `find ${folder} -printf '%P %M %U:%G %T@ %l\\n' | sort; diff -r tree ${folder}`;

const trees: readonly Row[] = [
  { law: 'archive into a new folder', args: ['extract', 'x.catar', 'out'], after: SHOW('out') },
  { law: 'index into a new folder', args: ['extract', 'x.caidx', 'out'], after: SHOW('out') },
  {
    law: 'OUTPUT left out is . for archives',
    args: ['extract', '../x.catar'],
    shell: 'mkdir out; cd out; exec "$@" </dev/null',
    after: SHOW('out'),
  },
  {
    law: 'OUTPUT left out is . for archive indexes',
    args: ['extract', '../x.caidx'],
    shell: 'mkdir out; cd out; exec "$@" </dev/null',
    after: SHOW('out'),
  },
  {
    law: 'an archive from a pipe',
    args: ['extract', '--what=archive', '-', 'out'],
    shell: 'set -o pipefail; cat x.catar | "$@"',
    after: SHOW('out'),
  },
  {
    law: 'an archive from a file on standard input',
    args: ['extract', '--what=archive', '-', 'out'],
    shell: 'exec "$@" <x.catar',
    after: SHOW('out'),
  },
  {
    law: 'an index from a pipe',
    args: ['extract', '--what=archive-index', '-', 'out'],
    shell: 'set -o pipefail; cat x.caidx | "$@"',
    after: SHOW('out'),
  },
  {
    law: 'an index from a file on standard input',
    args: ['extract', '--what=archive-index', '-', 'out'],
    shell: 'exec "$@" <x.caidx',
    after: SHOW('out'),
  },
  {
    law: 'an archive from a pipe by name',
    args: ['extract', '--what=archive', '/dev/fd/3', 'out'],
    shell: 'exec "$@" </dev/null 3< <(cat x.catar)',
    after: SHOW('out'),
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'an index from a pipe by name',
    args: ['extract', '--what=archive-index', '--store=default.castr', '/dev/fd/3', 'out'],
    shell: 'exec "$@" </dev/null 3< <(cat x.caidx)',
    after: SHOW('out'),
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'an archive from a fifo, whose writer comes later',
    args: ['extract', '--what=archive', 'fifo', 'out'],
    shell: '(sleep 0.5; cat x.catar >fifo) & exec "$@" </dev/null',
    after: SHOW('out'),
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'an archive from a fifo, whose writer waits',
    args: ['extract', '--what=archive', 'fifo', 'out'],
    shell: 'cat x.catar >fifo & sleep 0.1; exec "$@" </dev/null',
    after: SHOW('out'),
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: '- into a folder that exists is an archive index',
    before: 'mkdir out',
    args: ['extract', '-', 'out'],
    shell: 'exec "$@" <x.caidx',
    after: SHOW('out'),
  },
  {
    law: 'what is there is replaced, whatever it is; what the archive lacks goes',
    before:
      'mkdir -p out/a/full out/link out/extra/x; ln -s nothing out/empty; echo old > out/sub; mkfifo out/extra/f',
    args: ['extract', 'x.caidx', 'out'],
    after: SHOW('out'),
  },
  {
    law: 'what the archive lacks stays with --delete=no',
    before: 'mkdir -p out/extra/x out/sub/more; echo old > out/a; touch -d @1 out/extra/x',
    args: ['extract', '--delete=no', 'x.caidx', 'out'],
    after: "find out -printf '%P %M %s\\n' | sort",
  },
  {
    law: 'a link at the output is followed',
    before: 'mkdir real; ln -s real out',
    args: ['extract', 'x.caidx', 'out'],
    after: `${SHOW('real')}; readlink out`,
  },
  {
    law: 'twice changes nothing',
    args: ['extract', 'x.caidx', 'out'],
    shell: '"$@" </dev/null && exec "$@" </dev/null',
    after: SHOW('out'),
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'a mask leaves out what it lacks (and never makes set-uid programs of other owners)',
    args: ['extract', '--with=symlinks', 'x.caidx', 'out'],
    shell: 'umask 027; exec "$@" </dev/null',
    after: "find out ! -name a -printf '%P %M\\n' | sort; stat -c %A out/a",
    both: { status: 0, stdout: '', stderr: '' },
    ours: { after: / drwxr-x---\nempty -rw-r-----\nlink l.*\nsub drwx------\n.*-rwxr-x---\n$/s },
    reference: {
      after: / drwxr-x---\nempty -rw-r-----\nlink l.*\nsub drwx------\n.*-rwsr-x---\n$/s,
    },
  },
  {
    law: 'a child of a folder that is not there is not made',
    args: ['extract', 'x.caidx', 'no/out'],
    after: 'ls -A',
    ours: {
      status: 'any failure',
      stderr: /^Failed to run synchronizer: .*no\/out.*: No such file or directory\n$/,
    },
    reference: { status: 1, stderr: /No such file or directory\n$/ },
  },
];

const blobs: readonly Row[] = [
  {
    law: 'a blob into a new file',
    args: ['extract', 'x.caibx', 'y'],
    after: 'cmp blob y',
    both: SAME_BLOB,
  },
  {
    law: 'OUTPUT left out is standard output for blobs',
    args: ['extract', 'x.caibx'],
    shell: 'exec "$@" </dev/null >y',
    after: 'cmp blob y',
    both: { status: 0, stdout: '', after: '' },
    ours: { stderr: '' },
    reference: { stderr: STRAY_WARNING },
  },
  {
    law: '- is standard output: a file',
    args: ['extract', 'x.caibx', '-'],
    shell: 'exec "$@" </dev/null >y',
    after: 'cmp blob y',
    both: { status: 0, stdout: '', after: '' },
    ours: { stderr: '' },
    reference: { stderr: STRAY_WARNING },
  },
  {
    law: '- is standard output: a pipe (the reference refuses)',
    args: ['extract', 'x.caibx', '-'],
    shell: 'set -o pipefail; "$@" </dev/null | cat >y',
    after: 'cmp blob y 2>&1',
    ours: SAME_BLOB,
    reference: { status: 1, stdout: '', stderr: `${NEITHER}\n`, after: /EOF on y/ },
  },
  {
    law: 'a blob index from a pipe',
    args: ['extract', '--what=blob-index', '-', 'y'],
    shell: 'set -o pipefail; cat x.caibx | "$@"',
    after: 'cmp blob y',
    both: SAME_BLOB,
  },
  {
    law: '- into a file that exists is a blob index',
    before: 'echo > y',
    args: ['extract', '-', 'y'],
    shell: 'exec "$@" <x.caibx',
    after: 'cmp blob y',
    both: SAME_BLOB,
  },
  {
    law: 'no words: a blob index from standard input to a file on standard output',
    args: ['extract'],
    shell: 'exec "$@" <x.caibx >y',
    after: 'cmp blob y',
    both: { status: 0, stdout: '', after: '' },
    ours: { stderr: '' },
    reference: { stderr: STRAY_WARNING },
  },
  {
    law: 'a blob onto a block device, the rest of which stays',
    needs: { root: true, commands: ['losetup'] },
    before: 'tr "\\0" x </dev/zero | head -c 1048576 >disk; ln -s $(losetup --show -f disk) device',
    args: ['extract', 'x.caibx', 'device'],
    after:
      'sync; cmp -n 600000 blob disk; tail -c +600001 disk | tr -d x | wc -c; losetup -d $(readlink device)',
    both: { status: 0, stdout: '', stderr: '', after: '0\n' },
  },
  {
    law: 'an index of no chunks makes an empty file',
    before: ': > none; casync make z.caibx none >/dev/null',
    args: ['extract', 'z.caibx', 'y'],
    after: 'stat -c %s y',
    both: { status: 0, stdout: '', stderr: '', after: '0\n' },
  },
];

const refusals: readonly Row[] = [
  { law: 'a folder for a blob', args: ['extract', 'x.caibx', 'tree'], both: A_FOLDER },
  { law: 'a file for an archive', args: ['extract', 'x.catar', 'blob'], both: NO_FOLDER },
  { law: 'a file for an archive index', args: ['extract', 'x.caidx', 'blob'], both: NO_FOLDER },
  {
    law: 'standard output, a file, for an archive',
    args: ['extract', 'x.catar', '-'],
    shell: 'exec "$@" </dev/null >y',
    both: NO_FOLDER,
  },
  {
    law: 'a fifo by name',
    args: ['extract', 'x.caibx', 'fifo'],
    shell: 'exec "$@" <>fifo',
    both: NEITHER,
  },
  { law: 'a character device by name', args: ['extract', 'x.caibx', '/dev/null'], both: NEITHER },
  {
    law: 'a fifo for a tree',
    args: ['extract', 'x.caidx', 'fifo'],
    shell: 'exec "$@" <>fifo',
    both: NEITHER,
  },
  {
    law: 'a socket by name',
    needs: { commands: ['python3'] },
    before: 'python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'socket\')"',
    args: ['extract', 'x.caibx', 'socket'],
    both: { status: 1, stdout: '' },
    ours: { stderr: `${NEITHER}\n` },
    reference: { stderr: 'Failed to open socket: No such device or address\n' },
  },
  {
    law: 'a path within a blob',
    args: ['extract', 'x.caibx', 'y', 'sub'],
    both: 'Subtree path only supported when extracting archive or archive index.',
  },
  {
    law: 'an archive that is not there',
    args: ['extract', 'nothing.catar', 'out'],
    after: 'ls',
    both: { stdout: '' },
    ours: {
      status: 10,
      stderr: 'Failed to set sync archive: nothing.catar: No such file or directory\n',
    },
    reference: {
      status: 1,
      stderr: 'Failed to set sync archive: No such file or directory\n',
    },
  },
  ...['caidx', 'caibx'].map(
    (suffix): Row => ({
      law: `an index that is not there: ${suffix}`,
      args: ['extract', `nothing.${suffix}`, 'out'],
      after: 'ls',
      both: { stdout: '' },
      ours: {
        status: 10,
        stderr: /nothing\.cai.x: No such file or directory\n$/,
        after: /^(?!.*out)/s,
      },
      reference: { status: 1, stderr: /No such file or directory\n$/ },
    }),
  ),
];

/** Number of links of each file of two trees. */
const LINKED = ['a', 'empty', 'sub/a blank', 'sub/b']
  .map((path) => `${path} 2\n`.repeat(2))
  .join('');

const subtrees: readonly Row[] = [
  ...['sub', '/sub', '//sub', 'sub/', 'a', 'sub/b', 'sub/a blank', 'link', '', '/'].flatMap(
    (path): Row[] =>
      ['x.catar', 'x.caidx'].map((input) => ({
        law: `"${path}" of ${input} appears below the output, other entries stay`,
        before: 'mkdir out; echo stays > out/other; touch -d @5 out',
        args: ['extract', input, 'out', path],
        after: "find out -mindepth 1 -printf '%P %M %s %l\\n' | sort",
      })),
  ),
  {
    law: 'a new output folder is made for a part of an archive',
    args: ['extract', 'x.caidx', 'out', 'sub/b'],
    after: "find out -printf '%P %M %s %l\\n' | sort; cmp out/b tree/sub/b",
    both: { status: 0, stdout: '', stderr: '' },
  },
  ...['nothing', 'sub/nothing', 'a/x', 'link/x', 'su', 'sub/a'].flatMap((path): Row[] =>
    ['x.catar', 'x.caidx'].map((input) => ({
      law: `"${path}" is not in ${input}`,
      args: ['extract', input, 'out', path],
      both: 'Seek path not available in archive.',
    })),
  ),
  {
    law: '"." is the whole (the reference does not find it)',
    args: ['extract', 'x.catar', 'out', '.'],
    after: 'diff -r tree out',
    ours: { status: 0, stdout: '', stderr: '', after: '' },
    reference: {
      status: 1,
      stdout: '',
      stderr: 'Seek path not available in archive.\n',
      after: /^(Only in tree.*\n)+$/,
    },
  },
  ...['./sub', 'sub/..', 'sub/./b', '..'].map(
    (path): Row => ({
      law: `"${path}" is no path in an archive`,
      args: ['extract', 'x.catar', 'out', path],
      both: { status: 1, stdout: '' },
    }),
  ),
];

const sources: readonly Row[] = [
  {
    law: 'a seed that is not there is said and ignored',
    args: ['extract', '--seed=nothing', 'x.caibx', 'y'],
    after: 'cmp blob y',
    both: {
      status: 0,
      stdout: '',
      stderr: 'Failed to add seed nothing, ignoring: No such file or directory\n',
      after: '',
    },
  },
  {
    law: 'a further store without a name is said and ignored',
    args: ['extract', '--extra-store=', 'x.caibx', 'y'],
    after: 'cmp blob y',
    both: {
      status: 0,
      stdout: '',
      stderr: 'Failed to add extra store , ignoring: No such file or directory\n',
      after: '',
    },
  },
  {
    law: 'a store without a name is an error',
    args: ['extract', '--store=', 'x.caibx', 'y'],
    both: 'Failed to set store: Invalid argument',
  },
  {
    law: 'what is immutable stays, and is a failure',
    needs: { root: true, commands: ['chattr'] },
    before: 'cp -a tree out; echo old >out/a; chattr +i out/a',
    args: ['extract', 'x.caidx', 'out'],
    after: 'cat out/a; chattr -i out/a',
    both: { stdout: '', after: 'old\n' },
    ours: {
      status: 16,
      stderr: /^Failed to run synchronizer: .*out\/a: .*immutable.*--undo-immutable=yes/,
    },
    reference: { status: 1, stderr: 'Failed to run synchronizer: Operation not permitted\n' },
  },
  {
    law: 'what is immutable is replaced with --undo-immutable=yes',
    needs: { root: true, commands: ['chattr'] },
    before: 'cp -a tree out; echo old >out/a; echo more >out/more; chattr +i out/a out/more',
    args: ['extract', '--undo-immutable=yes', 'x.caidx', 'out'],
    after: `${SHOW('out')}; chattr -f -i out/*`,
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'zeros become holes',
    before: 'truncate -s 3M long; cat short >>long; casync make z.caibx long >/dev/null',
    args: ['extract', 'z.caibx', 'y'],
    after: 'cmp long y; test $(stat -c %b y) -lt 100',
    both: SAME_BLOB,
  },
  {
    law: 'zeros are written with --punch-holes=no',
    before: 'truncate -s 3M long; cat short >>long; casync make z.caibx long >/dev/null',
    args: ['extract', '--punch-holes=no', '--reflink=no', 'z.caibx', 'y'],
    after: 'cmp long y; test $(stat -c %b y) -gt 6000',
    both: SAME_BLOB,
  },
  {
    law: 'of an index only the chunks are read that a part of it needs',
    needs: { commands: ['python3'] },
    before: [
      'mkdir many; head -c 4000000 /dev/urandom >many/large; echo small >many/z',
      'casync make --store=m.castr big.caidx many >/dev/null',
      removeMiddle('big.caidx', 'm.castr'),
    ].join('; '),
    args: ['extract', '--store=m.castr', 'big.caidx', 'out', 'z'],
    after: 'cat out/z',
    both: { status: 0, stdout: '', stderr: '', after: 'small\n' },
  },
  {
    law: 'a further store that is not there does not matter',
    args: ['extract', '--extra-store=nothing', 'x.caibx', 'y'],
    after: 'cmp blob y',
    both: SAME_BLOB,
  },
  {
    law: 'the store may be missing where another has the chunks',
    args: ['extract', '--store=nothing', '--extra-store=default.castr', 'x.caibx', 'y'],
    after: 'cmp blob y',
    both: SAME_BLOB,
  },
  {
    law: 'a store that does not exist matters when a chunk is needed',
    args: ['extract', '--store=nothing.castr', 'x.caibx', 'y'],
    after: 'ls -A',
    both: { stdout: '' },
    ours: { status: 'any failure', stderr: /^Failed to run synchronizer: .*[0-9a-f]{64}.*\n$/ },
    reference: { status: 1, stderr: 'Failed to run synchronizer: No such file or directory\n' },
  },
  {
    law: 'a store that does not exist does not matter for no chunks',
    before: ': > none; casync make z.caibx none >/dev/null',
    args: ['extract', '--store=nothing.castr', 'z.caibx', 'y'],
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'a seed makes the store unnecessary: file',
    args: ['extract', '--store=nothing.castr', '--seed=blob', 'x.caibx', 'y'],
    after: 'cmp blob y',
    both: SAME_BLOB,
  },
  {
    law: 'a seed makes the store unnecessary: folder',
    args: ['extract', '--store=nothing.castr', '--seed=tree', 'x.caidx', 'out'],
    after: SHOW('out'),
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'what is at the output makes the store unnecessary',
    before: 'cp -a tree out',
    args: ['extract', '--store=nothing.castr', 'x.caidx', 'out'],
    after: SHOW('out'),
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: '--seed-output=no does not look at it',
    before: 'cp -a tree out',
    args: ['extract', '--seed-output=no', '--store=nothing.castr', 'x.caidx', 'out'],
    ours: { status: 'any failure', stderr: /^Failed to run synchronizer: .*[0-9a-f]{64}.*\n$/ },
    reference: { status: 1, stderr: 'Failed to run synchronizer: No such file or directory\n' },
  },
  {
    law: 'several seeds are taken together',
    before: 'split -b 300000 blob part',
    args: ['extract', '--seed=partab', '--seed=partaa', 'x.caibx', 'y'],
    after: 'cmp blob y',
    both: SAME_BLOB,
  },
  {
    law: 'with --hardlink=yes equal files are links to the seed (ours: unless they are empty)',
    args: ['extract', '--hardlink=yes', '--seed=tree', 'x.caidx', 'out'],
    after: "find out tree -type f -printf '%P %n\\n' | sort; diff -r tree out",
    both: { status: 0, stdout: '', stderr: '' },
    ours: { after: LINKED.replaceAll('empty 2', 'empty 1') },
    reference: { after: LINKED },
  },
  {
    law: 'a damaged chunk is an error',
    before: 'f=$(ls default.castr/*/* | head -1); chmod 644 $f; head -c 20 $f >h; mv h $f; cp $f .',
    args: ['extract', 'x.caibx', 'y'],
    shell: 'for f in default.castr/*/*; do cp -f *.cacnk $f; done; exec "$@" </dev/null',
    after: 'ls -A | grep -v cacnk',
    both: { stdout: '' },
    ours: { status: 14, stderr: /^Failed to run synchronizer: .*[0-9a-f]{64}.*\n$/ },
    reference: { status: 1, stderr: /^Failed to run synchronizer: .*\n$/ },
  },
];

testRows([...trees, ...blobs, ...refusals, ...subtrees, ...sources]);
