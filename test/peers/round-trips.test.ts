/**
 * Whatever way a tree or blob takes, it comes out the same: through archives and indexes, with and
 * without seeds and caches, for each digest and compression, as root and as an ordinary user; and the
 * reference, asked about the same tree, says the same.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { AS_ORDINARY_USER, ORDINARY_USER, ordinaryUserNeeds } from '../helpers/ordinary-user.ts';
import { requirement } from '../helpers/requirements.ts';
import {
  CASYNC,
  type RunOptions,
  runCasync,
  runReference,
  succeed,
} from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const DIGESTS = ['sha256', 'sha512-256'] as const;
const COMPRESSIONS = ['zstd', 'xz', 'gzip'] as const;
type DigestName = (typeof DIGESTS)[number];

const NEEDS = {
  ...ordinaryUserNeeds(),
  commands: ['casync', 'setpriv', 'setfacl', 'setfattr', 'chattr', 'mkfifo', 'mknod', 'python3'],
};

/** What everybody can make. */
const COMMON = [
  'mkdir -p tree/folder/deeper tree/empty "tree/with blank"',
  'head -c 1200000 /dev/urandom >tree/large; : >tree/folder/none; echo text >tree/folder/deeper/f',
  'echo blank >"tree/with blank/a b"; echo umlaut >tree/ümläut; ln -s folder/none tree/link',
  'ln -s "nowhere at all" tree/folder/dangling; mkfifo tree/fifo; ln tree/large tree/folder/again',
  'truncate -s 5M tree/sparse; echo end >>tree/sparse; seq 20000 >tree/numbers',
  'chmod 640 tree/numbers; chmod 1775 tree/empty; setfattr -n user.one -v 1 tree/numbers tree/folder',
  'python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'tree/socket\')"',
];
/** What it takes root to make. */
const PRIVILEGED = [
  'mknod tree/null c 1 3; mknod tree/disk b 7 9; chown 33:44 tree/numbers tree/empty',
  'setfacl -m u:7:rw,g:8:r tree/large; setfacl -d -m u:9:rwx tree/folder; chmod 4755 tree/ümläut',
  'setfattr -n trusted.two -v 2 tree/large; chattr +i tree/folder/deeper/f; chattr +d tree/sparse',
];
const TIMES =
  'find tree -exec touch -h -d "2022-03-04 05:06:07.123456789 UTC" {} + 2>/dev/null || true';

/** One way of running both programs, in a folder with a tree. */
interface Way {
  readonly folder: string;
  readonly ours: (args: readonly string[], options?: RunOptions) => Promise<string>;
  readonly reference: (args: readonly string[], options?: RunOptions) => Promise<string>;
}

interface WayOptions {
  readonly asUser: boolean;
  readonly verbose: boolean;
  readonly digest: DigestName;
}

/** Excluded by chattr d unless asked for; the tree has such a file. */
const EVERYTHING = '--exclude-nodump=no';

function openWay(t: ExecutionContext, { asUser, verbose, digest }: WayOptions): Way {
  const folder = join(temporaryFolder(t), 'w');
  fs.mkdirSync(folder);
  const script = [...COMMON, ...(asUser ? [] : PRIVILEGED)].join('; ');
  fs.chmodSync(join(folder, '..'), 0o755);
  if (asUser) fs.chownSync(folder, ORDINARY_USER, ORDINARY_USER);
  const shell = ['bash', '-ec', `${script}; ${TIMES}`];
  const [file, ...args] = asUser ? [...AS_ORDINARY_USER, ...shell] : shell;
  execFileSync(file, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const features = asUser ? ['--without=privileged'] : [];
  const words = [EVERYTHING, `--digest=${digest}`, ...features];
  const wrapper = asUser ? { wrapper: AS_ORDINARY_USER } : {};
  const run = (program: typeof runCasync, more: readonly string[]) => {
    return async (given: readonly string[], options: RunOptions = {}): Promise<string> => {
      const running = program([...more, ...words, ...given], {
        cwd: folder,
        ...wrapper,
        ...options,
      });
      const { stdout, stderr } = await succeed(running);
      if (more.length === 0) t.is(stderr.toString(), '', given.join(' '));
      return stdout.toString();
    };
  };
  return { folder, ours: run(runCasync, verbose ? ['-v'] : []), reference: run(runReference, []) };
}

function plainDigest(file: string, digest: DigestName): string {
  const name = digest === 'sha256' ? 'sha256' : 'sha512-256';
  return `${createHash(name).update(fs.readFileSync(file)).digest('hex')}\n`;
}

/** What a tree, archive or index looks like. */
async function describe(
  run: Way['ours'],
  cwd: string,
  words: readonly string[] = [],
  verbs: readonly string[] = ['mtree', 'digest', 'list'],
): Promise<Readonly<Record<string, string>>> {
  const shown: Record<string, string> = {};
  for (const verb of verbs) shown[verb] = await run([verb, ...words], { cwd });
  return shown;
}

for (const asUser of [false, true]) {
  const who = asUser ? 'an ordinary user' : 'root';
  for (const digest of DIGESTS) {
    for (const [number, compression] of COMPRESSIONS.entries()) {
      for (const verbose of [false, true]) {
        // Every pair of them, and the longer comparison for one half.
        const isLong = verbose === (number % 2 === 1);
        test.serial(
          `${who}: a tree, ${digest}, ${compression}${verbose ? ', -v' : ''}`,
          async (t) => {
            if (!requirement(t, NEEDS)) return;
            const way = openWay(t, { asUser, verbose, digest });
            await roundTrip(t, way, compression, digest, isLong);
          },
        );
      }
    }
  }
}

async function roundTrip(
  t: ExecutionContext,
  { folder, ours, reference }: Way,
  compression: string,
  digest: DigestName,
  isLong: boolean,
): Promise<void> {
  const store = ['--store=s.castr', `--compression=${compression}`];
  const stored = ['--store=../s.castr'];
  const [archiveDigest, indexDigest] = await Promise.all([
    ours(['make', 'x.catar', 'tree']),
    ours(['make', ...store, 'x.caidx', 'tree']),
  ]);
  t.is(archiveDigest, plainDigest(join(folder, 'x.catar'), digest));
  t.is(indexDigest, archiveDigest);
  t.is(
    await reference(['make', ...store.with(0, '--store=r.castr'), 'r.caidx', 'tree']),
    indexDigest,
  );
  const indexes = ['x.caidx', 'r.caidx'].map((name) => fs.readFileSync(join(folder, name)));
  t.true(indexes[0].equals(indexes[1]), 'the index is the same');

  await Promise.all([
    ours(['extract', 'x.catar', 'from-archive']),
    ours(['extract', ...store, 'x.caidx', 'from-index']),
  ]);
  const outputs = ['from-archive', 'from-index'];
  if (isLong) {
    await Promise.all([
      ours(['extract', ...store, '--seed=from-archive', 'x.caidx', 'with-seed']),
      ours(['extract', ...store, '--seed=from-index', '--hardlink=yes', 'x.caidx', 'with-links']),
      reference(['extract', ...store, 'x.caidx', 'by-reference']),
    ]);
    outputs.push('with-seed', 'with-links', 'by-reference');
  }
  const verbs = isLong ? ['mtree', 'digest', 'list'] : ['mtree', 'digest'];
  const look = (run: Way['ours'], name: string, words: readonly string[] = []) =>
    describe(run, join(folder, name), words, verbs);
  const [expected, ...others] = await Promise.all([
    look(reference, 'tree'),
    look(ours, 'tree'),
    look(ours, 'tree', ['../x.catar']),
    look(ours, 'tree', [...stored, '../x.caidx']),
    ...outputs.map((name) => look(ours, name)),
  ]);
  t.is(expected.digest, archiveDigest);
  const names = ['tree', 'x.catar', 'x.caidx', ...outputs];
  for (const [i, other] of others.entries()) t.deepEqual(other, expected, names[i]);
}

test.serial('a part of a tree is a tree of its own', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const way = openWay(t, { asUser: false, verbose: false, digest: 'sha256' });
  const { folder, ours, reference } = way;
  await ours(['make', 'x.catar', 'tree']);
  await ours(['make', 'x.caidx', 'tree']);
  for (const part of ['folder', 'folder/deeper', 'with blank']) {
    const name = part.slice(part.lastIndexOf('/') + 1);
    const expected = await describe(reference, join(folder, 'tree', part));
    for (const input of ['x.catar', 'x.caidx']) {
      const output = `${part.replaceAll('/', '-')} of ${input}`;
      await ours(['extract', input, output, part]);
      t.deepEqual(await describe(ours, join(folder, output, name)), expected, output);
      t.is(await ours(['digest', input, part]), expected.digest, output);
    }
  }
});

test.serial('a tree with the features of a mount comes back with the same digest', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const way = openWay(t, { asUser: false, verbose: false, digest: 'sha256' });
  const { ours, reference } = way;
  const fuse = '--with=fuse';
  const digest = await ours(['make', fuse, 'x.caidx', 'tree']);
  await ours(['extract', fuse, 'x.caidx', 'out']);
  t.is(await reference(['digest', fuse, 'tree']), digest);
  t.is(await ours(['digest', fuse, 'tree']), digest);
  t.is(await ours(['digest', fuse, 'x.caidx']), digest);
  t.is(await ours(['digest', fuse, 'out']), digest);
});

/** What is done to a tree between two runs with the same cache. */
const EDITS: Readonly<Record<string, string>> = {
  nothing: ':',
  'a folder at the beginning': 'mkdir tree/0; seq 1000 >tree/0/f',
  'a folder in the middle': 'mkdir tree/folder/m; seq 3000 >tree/folder/m/f',
  'a folder at the end': 'mkdir tree/zz; seq 1000 >tree/zz/f',
  'removed files': 'rm tree/numbers tree/folder/none',
  'a longer file': 'echo more >>tree/large',
  'a file of the same length, with its old time':
    'touch -r tree/large t; printf XX | dd of=tree/large bs=1 seek=70000 conv=notrunc 2>/dev/null; touch -r t tree/large; rm t',
  'other modes': 'chmod 600 tree/large; chmod 700 tree/empty',
};

test.serial('with a cache the index is what it is without', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const { folder, ours, reference } = openWay(t, {
    asUser: false,
    verbose: false,
    digest: 'sha256',
  });
  for (const [edit, script] of Object.entries(EDITS)) {
    execFileSync('bash', ['-ec', script], { cwd: folder });
    await reference(['make', '--store=r.castr', 'r.caidx', 'tree']);
    for (const round of ['first', 'second']) {
      t.is(await ours(['make', '--cache=cache', '--store=s.castr', 'x.caidx', 'tree']), '');
      const indexes = ['x.caidx', 'r.caidx'].map((name) => fs.readFileSync(join(folder, name)));
      t.true(indexes[0].equals(indexes[1]), `${edit}, ${round} time`);
    }
  }
  t.is(await ours(['digest', '--store=s.castr', 'x.caidx']), await reference(['digest', 'tree']));
});

/** What may be at the output, and in the seed. */
const OLD_BLOBS: Readonly<Record<string, (blob: Uint8Array) => Uint8Array | undefined>> = {
  nothing: () => undefined,
  'an empty file': () => new Uint8Array(0),
  'the blob itself': (blob) => blob,
  'an older version': (blob) =>
    Buffer.concat([
      noise(5000, 5),
      blob.subarray(0, 900_000),
      noise(99, 6),
      blob.subarray(1_000_000),
    ]),
  'a longer file': (blob) => Buffer.concat([blob.subarray(3000), noise(1_500_000, 7)]),
  'a shorter file': (blob) => blob.subarray(400_000, 1_100_000),
};

for (const asUser of [false, true]) {
  for (const digest of DIGESTS) {
    const who = asUser ? 'an ordinary user' : 'root';
    test.serial(`${who}: a blob, ${digest}, over whatever is there`, async (t) => {
      if (!requirement(t, NEEDS)) return;
      const { folder, ours } = openWay(t, { asUser, verbose: false, digest });
      const blob = Buffer.concat([noise(1_300_000), new Uint8Array(600_000), noise(400_000, 2)]);
      const path = join(folder, 'blob');
      fs.writeFileSync(path, blob);
      const expected = plainDigest(path, digest);
      for (const compression of COMPRESSIONS) {
        // All of them once; the compression hardly matters to what is there.
        const oldBlobs = Object.entries(OLD_BLOBS).slice(
          ...(compression === 'zstd' ? [0] : [3, 4]),
        );
        const store = [`--store=${compression}.castr`, `--compression=${compression}`];
        t.is(await ours(['make', ...store, 'x.caibx', 'blob']), expected);
        t.is(await ours(['digest', ...store, 'x.caibx']), expected);
        t.is(await ours(['digest', 'blob']), expected);
        await Promise.all(
          oldBlobs.map(async ([what, make], i) => {
            const old = make(blob);
            const output = join(folder, `${compression}-${i}`);
            const seed = `${output}-seed`;
            if (old !== undefined) {
              for (const file of [output, seed]) {
                fs.writeFileSync(file, old);
                fs.chownSync(file, asUser ? ORDINARY_USER : 0, asUser ? ORDINARY_USER : 0);
              }
            }
            const seeds = old === undefined ? [] : [`--seed=${seed}`];
            await ours(['extract', ...store, ...seeds, 'x.caibx', `${output}-new`]);
            await ours(['extract', ...store, 'x.caibx', output]);
            for (const file of [output, `${output}-new`]) {
              t.true(fs.readFileSync(file).equals(blob), `${what}: ${file.slice(output.length)}`);
            }
          }),
        );
      }
    });
  }
}

test.before('the command is built, which an ordinary user cannot', async () => {
  fs.accessSync(CASYNC);
  await succeed(runCasync(['--version']));
});
