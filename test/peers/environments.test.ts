/**
 * Where programs run us: under fakeroot and pseudo, as ordinary users, in user namespaces, with closed
 * or missing standard streams, variables and rights. Each row also runs with the reference.
 */
import { type Row, testRows } from '../contract/both.ts';
import { AS_ORDINARY_USER, ordinaryUserNeeds } from '../helpers/ordinary-user.ts';

const DONE = { status: 0, stdout: '', stderr: '', after: '' } as const;
const USER = AS_ORDINARY_USER.join(' ');
const AS_USER = ordinaryUserNeeds();

/** Runs the words behind it where they seem to run as root. */
const INTERPOSERS = [
  { name: 'fakeroot', start: 'fakeroot', commands: ['fakeroot'] },
  {
    name: 'pseudo',
    start: 'mkdir -m 777 state; env PSEUDO_PREFIX=/usr PSEUDO_LOCALSTATEDIR="$PWD/state" pseudo',
    commands: ['pseudo'],
  },
];

/** A tree whose owners, modes and devices exist for the C library only. */
const FORGE = [
  'mkdir -p t/sub/many; cp blob t/sub; : >t/empty; echo text >t/f; ln -s f t/link',
  'mknod t/null c 1 3; mknod t/disk b 7 9; mkfifo t/fifo',
  'for i in $(seq 300); do echo $i >t/sub/many/$i; done',
  'chown 5:60 t/f; chown -h 6:7 t/link; chown 1000:100 t/sub t/fifo; chown 12345:54321 t/null',
  'chmod 4755 t/f; chmod 2770 t/sub; chmod 1777 t/sub/many; chmod 600 t/null',
  'chown 33:44 t/sub/many/7; chmod 6711 t/sub/many/8; setfattr -n user.x -v y t/f',
  "find t -exec touch -h -d '2021-01-02 03:04:05.678 UTC' {} +",
].join('; ');

function interposed(start: string, script: string, prefix = ''): string {
  const quoted = script.replaceAll("'", "'\\''");
  return `exec </dev/null; ${start.replace(/([^;]*)$/, `${prefix}$1`)} bash -c '${quoted}' bash "$@"`;
}

const underFake: readonly Row[] = INTERPOSERS.flatMap(({ name, start, commands }): Row[] =>
  ['', `${USER} `].flatMap((prefix): Row[] => {
    const who = prefix === '' ? 'root' : 'an ordinary user';
    const shared = {
      needs: { ...AS_USER, commands: [...commands, 'setpriv', 'setfattr'] },
      before: 'chmod 777 . ..',
    };
    return ['0', '2'].flatMap((workers): Row[] => [
      {
        ...shared,
        law: `${name}, ${who}, ${workers} threads: make sees what is forged`,
        env: { CASYNC_WORKERS: workers },
        args: ['make', '--with=unix', '--store=s.castr'],
        shell: interposed(
          start,
          `${FORGE}; "$@" y.caidx t >d; s=$?; casync make --with=unix z.catar t | cmp - d; exit $s`,
          prefix,
        ),
        after: 'cksum y.caidx z.catar',
        both: { status: 0, stdout: '', stderr: '' },
      },
      {
        ...shared,
        law: `${name}, ${who}, ${workers} threads: what is extracted is forged again`,
        env: { CASYNC_WORKERS: workers },
        args: ['extract', '--with=unix', 'z.catar', 'out'],
        shell: interposed(
          start,
          `${FORGE}; casync make z.catar t >d; "$@"; s=$?; casync mtree --with=unix t >m; casync mtree --with=unix out | cmp - m; exit $s`,
          prefix,
        ),
        both: DONE,
      },
    ]);
  }),
);

const users: readonly Row[] = [
  {
    law: 'an ordinary user archives what it may read',
    needs: AS_USER,
    before: 'chmod 777 . ..; chmod 755 tree/a',
    args: ['make', '--store=z.castr', 'y.caidx', 'tree'],
    shell: `exec ${USER} "$@" </dev/null`,
    after: 'cksum y.caidx',
    both: { status: 0, stderr: '' },
  },
  {
    law: 'an ordinary user restores with --without=privileged',
    needs: AS_USER,
    before: 'chmod 777 . ..',
    args: ['extract', '--without=privileged', 'x.caidx', 'out'],
    shell: `exec ${USER} "$@" </dev/null`,
    after: "diff -r tree out; find out -printf '%P %M %u %T@\\n' | sort",
    both: { status: 0, stdout: '', stderr: '' },
  },
  {
    law: 'an ordinary user is told of that option',
    needs: AS_USER,
    before: 'chmod 777 . ..',
    args: ['extract', 'x.caidx', 'out'],
    shell: `exec ${USER} "$@" </dev/null`,
    both: { stdout: '' },
    ours: {
      status: 16,
      stderr: /^Failed to run synchronizer: .*out\/a: .*--without=privileged.*\n$/,
    },
    reference: { status: 1, stderr: 'Failed to run synchronizer: Operation not permitted\n' },
  },
  {
    law: 'a user without home, variables and rights in the current folder',
    needs: AS_USER,
    before: 'mkdir p; chmod 777 p ..; chmod 755 . tree/a',
    args: ['make', '--store=p/z.castr', 'p/y.caidx', 'tree'],
    shell: `exec env -i CASYNC_DIGEST=sha512-256 ${USER} "$@" </dev/null`,
    after: 'cksum p/y.caidx; ls -A p',
    both: { status: 0, stderr: '', after: /\ny.caidx\nz.castr\n$/ },
  },
  {
    law: 'an output where nothing may be made',
    needs: AS_USER,
    before: 'chmod 755 . ..',
    args: ['make', '--store=z.castr', 'y.caibx', 'short'],
    shell: `exec ${USER} "$@" </dev/null`,
    both: { stdout: '' },
    ours: {
      status: 16,
      stderr: /^Failed to run synchronizer: (z\.castr|y\.caibx): .*Permission denied\n$/,
    },
    reference: { status: 1, stderr: 'Failed to run synchronizer: Permission denied\n' },
  },
  ...['-Ur', '-U'].map(
    (option): Row => ({
      law: `unshare ${option}: owners as they are seen inside`,
      needs: { commands: ['unshare'] },
      args: ['make', '--store=z.castr', 'y.caidx', 'tree'],
      shell: `exec unshare ${option} "$@" </dev/null`,
      after: 'cksum y.caidx',
      both: { status: 0, stderr: '' },
    }),
  ),
  {
    law: 'unshare -Ur: extraction',
    needs: { commands: ['unshare'] },
    args: ['extract', 'x.caidx', 'out'],
    shell: 'exec unshare -Ur "$@" </dev/null',
    after: "diff -r tree out; find out -printf '%P %M %U %T@\\n' | sort",
    both: { status: 0, stdout: '', stderr: '' },
  },
];

const streams: readonly Row[] = [
  {
    law: 'standard input closed',
    args: ['make', 'y.caidx', 'tree'],
    shell: 'exec "$@" <&-',
    after: 'cmp x.caidx y.caidx',
    both: { status: 0, stderr: '', after: '' },
  },
  {
    law: 'everything closed: make (the reference writes its digest into the index)',
    args: ['make', 'y.caidx', 'tree'],
    shell: 'exec "$@" <&- >&- 2>&-',
    after: 'cmp x.caidx y.caidx 2>&1',
    ours: DONE,
    reference: { status: 0, stdout: '', stderr: '', after: /EOF on x\.caidx/ },
  },
  {
    law: 'everything closed: extract',
    args: ['extract', 'x.caibx', 'y'],
    shell: 'exec "$@" <&- >&- 2>&-',
    after: 'cmp blob y',
    both: DONE,
  },
  {
    law: 'standard error closed: a failure',
    args: ['list', 'nothing'],
    shell: 'exec "$@" 2>&-',
    both: { status: 1, stdout: '', stderr: '' },
  },
  {
    law: 'standard error full: make',
    args: ['-v', 'make', 'y.caidx', 'tree'],
    shell: 'exec "$@" 2>/dev/full',
    after: 'cmp x.caidx y.caidx',
    both: { status: 0, stderr: '', after: '' },
  },
];

const surroundings: readonly Row[] = [
  ...['LC_ALL=C', 'LC_ALL=de_DE.UTF-8', 'HOME=', 'PATH=/bin:/usr/bin', 'TMPDIR=/nonexistent'].map(
    (variable): Row => ({
      law: `with ${variable}`,
      before: 'cp tree/a tree/$\'\\344\\n b\'; cp tree/a "tree/äöü"; touch -d @7 tree tree/*',
      args: ['mtree', 'tree'],
      shell: `exec env ${variable} "$@" </dev/null`,
      both: { status: 0, stderr: '' },
    }),
  ),
  {
    law: 'no variables at all',
    args: ['extract', 'x.caidx', 'out'],
    shell: 'exec env -i "$@" </dev/null',
    after: 'diff -r tree out',
    both: DONE,
  },
  {
    law: 'TMPDIR that may not be written to',
    needs: AS_USER,
    before: 'mkdir scratch; chmod 777 . ..; chmod 555 scratch',
    args: ['extract', '--without=privileged', '--seed=blob', 'x.caibx', 'y'],
    shell: `TMPDIR="$PWD/scratch" exec ${USER} "$@" </dev/null`,
    after: 'cmp blob y',
    ours: DONE,
    reference: { status: 1, stderr: /^Failed to run synchronizer: /, after: /cmp/ },
  },
  ...['make y.caidx tree', 'extract x.caidx out', 'digest x.caidx', 'extract x.caibx y'].map(
    (words): Row => ({
      law: `64 descriptors: ${words}`,
      before:
        'for i in $(seq 200); do mkdir -p tree/d$i; echo $i >tree/d$i/f; done; touch -d @7 tree/d*/* tree/d* tree',
      args: words.split(' '),
      shell: 'ulimit -n 64; exec "$@" </dev/null',
      after: 'test -e y.caidx && cksum y.caidx; test -e y && cmp y blob',
      both: { status: 0, stderr: '' },
    }),
  ),
  ...['make y.caidx tree', 'extract x.caidx out', 'digest x.caidx', 'extract x.caibx y'].map(
    (words): Row => ({
      law: `8 GB of addresses: ${words}`,
      args: words.split(' '),
      shell: 'ulimit -v 8000000; exec "$@" </dev/null',
      after: 'test -e y.caidx && cmp x.caidx y.caidx; test -e y && cmp y blob',
      both: { status: 0, stderr: '', after: '' },
    }),
  ),
  {
    law: 'nested folders, of which few can be open at once',
    before:
      'd=tree; for i in $(seq 30); do d=$d/d; done; mkdir -p $d; find tree -exec touch -h -d @7 {} +',
    args: ['make', 'y.caidx', 'tree'],
    shell: 'ulimit -n 64; exec "$@" </dev/null',
    after: 'cksum y.caidx',
    both: { status: 0, stderr: '' },
  },
  ...['with blank', 'new\nline', 'ünï', '*', '$x', '-x'].map(
    (name): Row => ({
      law: `a path ${JSON.stringify(name)}`,
      before: 'mkdir d; cp -a tree d',
      args: ['make', `--store=FOLDER/d/${name}.castr`, `./d/${name}.caidx`, './d/tree'],
      shell: `cp -a d/tree "d/${name.replace('$', '\\$')}.copy"; exec "$@" </dev/null`,
      after: 'cmp d/*.caidx x.caidx; cd d; ls -A',
      both: { status: 0, stderr: '' },
    }),
  ),
  {
    law: 'a path that is not UTF-8 (ours refuses it, and says what helps)',
    before: "mkdir $'d\\377'; cp x.caidx $'d\\377'",
    args: ['list'],
    shell: 'exec "$@" $\'d\\377\' </dev/null',
    ours: { status: 1, stdout: '', stderr: /^d\\377: words of the command line must be UTF-8/ },
    reference: { status: 0, stdout: /x\.caidx\n$/, stderr: '' },
  },
  {
    law: 'what helps: standard input',
    before: "mkdir $'d\\377'; cp x.caidx $'d\\377'",
    args: ['list', '-'],
    shell: 'exec "$@" <$\'d\\377\'',
    both: { status: 0, stdout: /x\.caidx\n$/, stderr: '' },
  },
];

testRows([...underFake, ...users, ...streams, ...surroundings]);
