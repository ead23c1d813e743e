/**
 * What `npm run bench:images` measures: for each task the commands of every program that can do it. `A` and
 * `B` are two versions of a disk image; everything else is made in a folder of the contestant's own.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from './measure.ts';

/** Where one contestant works. */
export interface ImagePlace {
  /** Empty before each round. */
  readonly folder: string;
  /** Paths of the images, which must stay as they are. */
  readonly a: string;
  readonly b: string;
  /** A loop device over a copy of A, for tasks that write to one. */
  readonly device?: string;
}

export interface ImageContestant {
  readonly name: string;
  /** Name of the program, looked for in PATH. */
  readonly program: 'casync' | 'rsync' | 'rdiff' | 'rdiff-backup' | 'bmaptool' | 'borg' | 'restic';
  /** Not measured. */
  prepare(place: ImagePlace, path: string): readonly Command[];
  /** Measured together. */
  run(place: ImagePlace, path: string): readonly Command[];
  /** Path of what must equal an image in the end. */
  result?(place: ImagePlace): { readonly path: string; readonly equals: 'a' | 'b' };
  /** Bytes that the task has made, where that says something; files or folders to be summed. */
  made?(place: ImagePlace): readonly string[];
}

export interface ImageTask {
  readonly name: string;
  readonly title: string;
  /** What the column of made bytes means. */
  readonly madeTitle?: string;
  readonly needsDevice?: boolean;
  readonly contestants: readonly ImageContestant[];
}

const BORG = { BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' } as const;
const FIXED = '--chunker-params=fixed,65536';

function command(cwd: string, env: Readonly<Record<string, string>> = {}) {
  const all = {
    ...(process.env as Record<string, string>),
    HOME: cwd,
    XDG_CONFIG_HOME: join(cwd, '.config'),
    XDG_STATE_HOME: join(cwd, '.state'),
    RESTIC_PASSWORD: 'bench',
    ...BORG,
    ...env,
  };
  return (...words: readonly string[]): Command => ({ words, cwd, env: all });
}

const isB = (name: string) => (place: ImagePlace) => {
  return { path: join(place.folder, name), equals: 'b' as const };
};

const SYNC: readonly ImageContestant[] = [
  {
    name: 'casync sync, clean map',
    program: 'casync',
    prepare: ({ folder, a }, path) => [command(folder)(path, 'sync', a, 'image')],
    run: ({ folder, b }, path) => [command(folder)(path, 'sync', b, 'image')],
    result: isB('image'),
  },
  {
    name: 'casync sync, no map',
    program: 'casync',
    prepare: ({ folder, a }) => [command(folder)('cp', a, 'image')],
    run: ({ folder, b }, path) => [command(folder)(path, 'sync', '--map=none', b, 'image')],
    result: isB('image'),
  },
  {
    name: 'rsync --inplace',
    program: 'rsync',
    prepare: ({ folder, a }) => [command(folder)('cp', a, 'image')],
    run: ({ folder, b }, path) => [
      command(folder)(
        path,
        '--inplace',
        '--no-whole-file',
        '--ignore-times',
        '--fsync',
        b,
        'image',
      ),
    ],
    result: isB('image'),
  },
  {
    name: 'rdiff signature, delta, patch',
    program: 'rdiff',
    prepare: () => [],
    run: ({ folder, a, b }, path) => [
      command(folder)(path, 'signature', a, 'signature'),
      command(folder)(path, 'delta', 'signature', b, 'delta'),
      command(folder)(path, 'patch', a, 'delta', 'image'),
    ],
    result: isB('image'),
  },
];

const DELTA: readonly ImageContestant[] = [
  {
    name: 'casync delta',
    program: 'casync',
    prepare: ({ folder, a }, path) => [
      command(folder)(path, 'index', '--chunking=fixed', a, '-o', 'a.caibx'),
    ],
    run: ({ folder, b }, path) => [
      command(folder)(path, 'delta', '--base=a.caibx', b, '-o', 'delta'),
    ],
    made: ({ folder }) => [join(folder, 'delta')],
  },
  ...(['', '4096'] as const).flatMap((size): readonly ImageContestant[] => {
    const title = size === '' ? '' : `, blocks of ${size}`;
    return [
      {
        name: `casync export rdiff-delta${title}`,
        program: 'casync',
        prepare: ({ folder, a }, path) => [
          command(folder)(
            path,
            'export',
            '--format=rdiff-sig',
            ...(size === '' ? [] : [`--block-size=${size}`]),
            a,
            'signature',
          ),
        ],
        run: ({ folder, b }, path) => [
          command(folder)(path, 'export', '--format=rdiff-delta', '--base=signature', b, 'delta'),
        ],
        made: ({ folder }) => [join(folder, 'delta')],
      },
      {
        name: `rdiff delta${title}`,
        program: 'rdiff',
        prepare: ({ folder, a }, path) => [
          command(folder)(path, ...(size === '' ? [] : ['-b', size]), 'signature', a, 'signature'),
        ],
        run: ({ folder, b }, path) => [command(folder)(path, 'delta', 'signature', b, 'delta')],
        made: ({ folder }) => [join(folder, 'delta')],
      },
    ];
  }),
];

const SIGNATURE: readonly ImageContestant[] = [
  {
    name: 'casync index, blocks of 4096',
    program: 'casync',
    prepare: () => [],
    run: ({ folder, a }, path) => [
      command(folder)(path, 'index', '--chunking=fixed', a, '-o', 'a.caibx'),
    ],
    made: ({ folder }) => [join(folder, 'a.caibx')],
  },
  {
    name: 'casync export rdiff-sig',
    program: 'casync',
    prepare: () => [],
    run: ({ folder, a }, path) => [command(folder)(path, 'export', '--format=rdiff-sig', a, 's')],
    made: ({ folder }) => [join(folder, 's')],
  },
  {
    name: 'rdiff signature',
    program: 'rdiff',
    prepare: () => [],
    run: ({ folder, a }, path) => [command(folder)(path, 'signature', a, 's')],
    made: ({ folder }) => [join(folder, 's')],
  },
  {
    name: 'bmaptool create',
    program: 'bmaptool',
    prepare: () => [],
    run: ({ folder, a }, path) => [command(folder)(path, 'create', '-o', 's', a)],
    made: ({ folder }) => [join(folder, 's')],
  },
];

const deltaFor = (path: string, { folder, a, b }: ImagePlace, ...words: readonly string[]) => [
  command(folder)(path, 'delta', `--base=${a}`, b, '-o', 'delta', ...words),
];

const PATCH: readonly ImageContestant[] = [
  {
    name: 'casync patch, in place',
    program: 'casync',
    prepare: (place, path) => [
      ...deltaFor(path, place),
      command(place.folder)('cp', place.a, 'image'),
    ],
    run: ({ folder }, path) => [command(folder)(path, 'patch', 'image', 'delta')],
    result: isB('image'),
  },
  {
    name: 'casync import rdiff-delta',
    program: 'casync',
    prepare: ({ folder, a, b }, path) => [
      command(folder)(path, 'export', '--format=rdiff-delta', `--base=${a}`, b, 'delta'),
    ],
    run: ({ folder, a }, path) => [
      command(folder)(path, 'import', '--format=rdiff-delta', `--base=${a}`, 'delta', 'image'),
    ],
    result: isB('image'),
  },
  {
    name: 'rdiff patch',
    program: 'rdiff',
    prepare: ({ folder, a, b }, path) => [
      command(folder)(path, 'signature', a, 'signature'),
      command(folder)(path, 'delta', 'signature', b, 'delta'),
    ],
    run: ({ folder, a }, path) => [command(folder)(path, 'patch', a, 'delta', 'image')],
    result: isB('image'),
  },
];

const onDevice = ({ device = '' }: ImagePlace) => ({ path: device, equals: 'b' as const });

function deviceTask(casync: string): readonly ImageContestant[] {
  return [
    {
      name: 'casync sync, clean map',
      program: 'casync',
      prepare: ({ folder, a, device = '' }, path) => [
        command(folder)(path, 'sync', '--map=map', a, device),
      ],
      run: ({ folder, b, device = '' }, path) => [
        command(folder)(path, 'sync', '--map=map', b, device),
      ],
      result: onDevice,
    },
    {
      name: 'casync patch, sparse delta',
      program: 'casync',
      prepare: (place, path) => deltaFor(path, place, '--format=sparse'),
      run: ({ folder, device = '' }, path) => [command(folder)(path, 'patch', device, 'delta')],
      result: onDevice,
    },
    {
      name: 'bmaptool copy, sparse delta of casync',
      program: 'bmaptool',
      prepare: (place) => deltaFor(casync, place, '--format=sparse'),
      run: ({ folder, device = '' }, path) => [command(folder)(path, 'copy', 'delta', device)],
      result: onDevice,
    },
    {
      name: 'bmaptool copy, all',
      program: 'bmaptool',
      prepare: ({ folder, b }) => [
        command(folder)(casync, 'export', '--format=bmap', '--sparse=never', b, 'map'),
      ],
      run: ({ folder, b, device = '' }, path) => [
        command(folder)(path, 'copy', '--bmap', 'map', b, device),
      ],
      result: onDevice,
    },
  ];
}

interface Keeper {
  readonly name: string;
  readonly program: ImageContestant['program'];
  readonly init?: (run: ReturnType<typeof command>, path: string) => Command;
  /** Keeps `source/image` as a version. */
  readonly keep: (run: ReturnType<typeof command>, path: string, version: 'a' | 'b') => Command;
  /** Brings the first of two versions back. */
  readonly restore: (run: ReturnType<typeof command>, path: string) => Command;
  /** Where it is then. */
  readonly restored: string;
}

const KEEPERS: readonly Keeper[] = [
  {
    name: 'casync put --name, get --at',
    program: 'casync',
    keep: (run, path) => run(path, 'put', '--store=repository', '--name=image', 'source/image'),
    restore: (run, path) =>
      run(path, 'get', '--store=repository', '--name=image', '--at=-1', 'restored'),
    restored: 'restored',
  },
  {
    name: 'rdiff-backup',
    program: 'rdiff-backup',
    keep: (run, path) => run(path, '--api-version', '200', 'backup', 'source', 'repository'),
    restore: (run, path) =>
      run(path, '--api-version', '200', 'restore', '--at', '1B', 'repository', 'restored'),
    restored: 'restored/image',
  },
  {
    name: 'borg',
    program: 'borg',
    init: (run, path) => run(path, 'init', '--encryption=none', 'repository'),
    keep: (run, path, version) => run(path, 'create', `repository::${version}`, 'source'),
    restore: (run, path) => run(path, 'extract', 'repository::a'),
    restored: 'source/image',
  },
  {
    name: 'borg, blocks of 64 KiB',
    program: 'borg',
    init: (run, path) => run(path, 'init', '--encryption=none', 'repository'),
    keep: (run, path, version) => run(path, 'create', FIXED, `repository::${version}`, 'source'),
    restore: (run, path) => run(path, 'extract', 'repository::a'),
    restored: 'source/image',
  },
  {
    name: 'restic',
    program: 'restic',
    init: (run, path) => run(path, 'init', '-r', 'repository'),
    keep: (run, path, version) =>
      run(path, '-r', 'repository', 'backup', '--tag', version, 'source'),
    restore: (run, path) =>
      run(path, '-r', 'repository', 'restore', 'latest', '--tag', 'a', '--target', 'restored'),
    restored: 'restored/source/image',
  },
];

function commandsOf(keeper: Keeper, { folder, a, b }: ImagePlace, path: string) {
  const run = command(folder);
  return {
    first: [
      run('mkdir', 'source'),
      ...(keeper.init === undefined ? [] : [keeper.init(run, path)]),
      run('cp', a, 'source/image'),
      keeper.keep(run, path, 'a'),
      // rdiff-backup tells versions apart by the second.
      run('sleep', '1.1'),
      run('cp', b, 'source/image'),
    ],
    second: [keeper.keep(run, path, 'b')],
    restore: [keeper.restore(run, path)],
  };
}

const KEEP = KEEPERS.map((keeper): ImageContestant => {
  const { name, program } = keeper;
  return {
    name,
    program,
    prepare: (place, path) => commandsOf(keeper, place, path).first,
    run: (place, path) => commandsOf(keeper, place, path).second,
    made: ({ folder }) => [join(folder, 'repository')],
  };
});

const RESTORE = KEEPERS.map((keeper): ImageContestant => {
  const { name, program, restored } = keeper;
  return {
    name,
    program,
    prepare(place, path) {
      const { first, second } = commandsOf(keeper, place, path);
      return [...first, ...second];
    },
    run: (place, path) => commandsOf(keeper, place, path).restore,
    result: ({ folder }) => ({ path: join(folder, restored), equals: 'a' }),
  };
});

/** @param casync path of ours, which makes what others apply */
export function imageTasks(casync: string): readonly ImageTask[] {
  const growth = 'repository grows by';
  return [
    { name: 'sync', title: 'Bring a copy of A to B', contestants: SYNC },
    { name: 'signature', title: 'Describe A', madeTitle: 'made', contestants: SIGNATURE },
    { name: 'delta', title: 'Delta from A to B', madeTitle: 'made', contestants: DELTA },
    { name: 'patch', title: 'Apply a delta to A', contestants: PATCH },
    {
      name: 'device',
      title: 'Bring a block device from A to B',
      needsDevice: true,
      contestants: deviceTask(casync),
    },
    { name: 'keep', title: 'Keep B where A is kept', madeTitle: growth, contestants: KEEP },
    { name: 'restore', title: 'Restore A where B is newer', contestants: RESTORE },
  ];
}

/** Bytes of files and of all files in folders; those that are not there have none. */
export function bytesOf(paths: readonly string[]): number {
  return paths.reduce((sum, path) => sum + (existsSync(path) ? bytesBelow(path) : 0), 0);
}

function bytesBelow(path: string): number {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.size;
  return bytesOf(readdirSync(path).map((name) => join(path, name)));
}

/** What the system calls of a command have moved, by a file with lines of /proc/PID/io. */
export function movedBytes(path: string): { readonly read: number; readonly written: number } {
  const text = readFileSync(path, 'ascii');
  const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  return { read: field('rchar'), written: field('wchar') };
}
