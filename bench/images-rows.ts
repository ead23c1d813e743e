/**
 * What `npm run bench:images` measures: for each task the commands of every program that can do it. `A` and
 * `B` are two versions of a disk image; everything else is made in a folder of the contestant's own.
 */
import { join } from 'node:path';
import { command, type ImageContestant, type ImagePlace, type ImageTask } from './images-task.ts';
import { KEEP, RESTORE } from './images-versions.ts';

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
