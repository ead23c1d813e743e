/**
 * What is measured: scenarios, which are the steps that one contestant takes one after the other
 * in a turn. Every step is a row of the report. Used by main.ts, turns.ts and the tests.
 */
import type { DataSetName } from './data-sets.ts';
import type { Kind } from './peers.ts';
import type { ReadingName } from './readings.ts';
import type { ServerName } from './servers.ts';

export interface Step {
  /** Stable name of the row. */
  readonly row: string;
  readonly title: string;
  /** To read something is to serve it anew, and to read that. */
  readonly action: 'make' | 'extract' | 'read';
  readonly snapshot: string;
  readonly dataSet: DataSetName;
  /**
   * What a make finds: an empty store, the store as the step before has left it, or the store as
   * the first step has left it.
   */
  readonly store: 'empty' | 'left' | 'first';
  /** An older version that an extraction may use: beside the output, or in its place. */
  readonly old?: {
    readonly dataSet: DataSetName;
    readonly snapshot: string;
    readonly use: 'seed' | 'over';
  };
  /** The store is reached through this server; else it is a folder. */
  readonly server?: ServerName;
  /** With the action `read`: how. */
  readonly reading?: ReadingName;
  /** Only these contestants take it. */
  readonly only?: readonly string[];
}

export interface Scenario {
  readonly id: string;
  readonly kind: Kind;
  readonly steps: readonly Step[];
  /** Only these contestants. */
  readonly only?: readonly string[];
  /** Contestants that cannot bring it back. */
  readonly cannotExtract?: readonly string[];
  /** Bound to so many cores. */
  readonly cores?: number;
}

/** Sizes of the scaling rows. */
const SIZES = ['64M', '256M', '1G', '4G'] as const;

/** The three that cut, name and compress in the same way. */
const CHUNKERS = ['ours', 'ours-nosync', 'casync', 'desync'];
/** Gives every hole back as zeroes: too much for a file system in memory. */
const NOT_SPARSE = ['restic'];

function make(id: string, dataSet: DataSetName, title: string): Step {
  const row = `${id}-make`;
  return {
    row,
    title: `${title}: make`,
    action: 'make',
    snapshot: 'first',
    dataSet,
    store: 'empty',
  };
}

function again(id: string, dataSet: DataSetName, title: string): Step {
  const step = make(id, dataSet, title);
  return {
    ...step,
    row: `${id}-again`,
    title: `${title}: make again`,
    snapshot: 'again',
    store: 'left',
  };
}

function extract(id: string, dataSet: DataSetName, title: string): Step {
  const step = make(id, dataSet, title);
  return {
    ...step,
    row: `${id}-extract`,
    title: `${title}: extract`,
    action: 'extract',
    store: 'left',
  };
}

function version(id: 'changed' | 'inserted', title: string): Step {
  return { ...make(id, id, title), snapshot: id, store: 'first' };
}

/** From the image to the one that has changed, as often as there are ways to use the old one. */
function update(): Scenario {
  const first = make('update', 'image', '1 GiB image, to be updated');
  const changed: Step = { ...first, row: 'update-store', title: 'its new version: make' };
  const old = { dataSet: 'image', snapshot: first.snapshot } as const;
  const extraction = { action: 'extract', dataSet: 'changed', snapshot: 'changed' } as const;
  const left = { store: 'left' } as const;
  return {
    id: 'update',
    kind: 'blob',
    only: CHUNKERS,
    steps: [
      first,
      { ...changed, ...left, dataSet: 'changed', snapshot: 'changed' },
      {
        ...extraction,
        ...left,
        row: 'update-seed',
        title: 'image with 1 % changed: extract, the old one is a seed',
        old: { ...old, use: 'seed' },
      },
      {
        ...extraction,
        ...left,
        row: 'update-over',
        title: 'image with 1 % changed: extract over the old one',
        old: { ...old, use: 'over' },
      },
    ],
  };
}

function makeAndExtract(id: string, kind: Kind, dataSet: DataSetName, title: string): Scenario {
  return { id, kind, steps: [make(id, dataSet, title), extract(id, dataSet, title)] };
}

function allThree(id: string, kind: Kind, dataSet: DataSetName, title: string): Scenario {
  const steps = [make(id, dataSet, title), again(id, dataSet, title), extract(id, dataSet, title)];
  return { id, kind, steps };
}

/** Have a mount. */
const MOUNTERS = ['ours', 'casync'];
/** Can write to stores over HTTP, and does not ask for one chunk after the other. */
const UPLOADERS = ['ours', 'ours-nosync', 'desync'];
/** Those who speak S3, and a plain download of the same objects. */
const S3_USERS = [...UPLOADERS, 'download'];

/** Stores on servers. casync gets one chunk after the other: with latency, a part of the image will do. */
function remote(): readonly Scenario[] {
  const kind = 'blob';
  const first = make('http', 'image', '1 GiB image');
  const out: Step = { ...first, action: 'extract', store: 'left' };
  const part: Step = { ...first, dataSet: 'image-256M' };
  return [
    {
      id: 'http',
      kind,
      only: CHUNKERS,
      steps: [
        { ...first, row: 'http-store', title: '1 GiB image, to be given away: make' },
        { ...out, row: 'http-local', title: '1 GiB image: extract without a server' },
        { ...out, row: 'http-extract', title: '1 GiB image: extract over HTTP', server: 'http' },
        {
          ...out,
          row: 'http-extract-20ms',
          title: '1 GiB image: extract over HTTP, 20 ms before each answer',
          server: 'http-20ms',
          only: UPLOADERS,
        },
      ],
    },
    {
      id: 'http-latency',
      kind,
      only: CHUNKERS,
      steps: [
        { ...part, row: 'http-store-256M', title: 'image, 256 MiB, to be given away: make' },
        {
          ...part,
          ...{ action: 'extract', store: 'left', server: 'http-20ms' },
          row: 'http-extract-20ms-256M',
          title: 'image, 256 MiB: extract over HTTP, 20 ms before each answer',
        },
      ],
    },
    {
      id: 'http-upload',
      kind,
      only: UPLOADERS,
      steps: [{ ...first, title: '1 GiB image: make over HTTP', server: 'http' }],
    },
    {
      id: 's3',
      kind,
      only: S3_USERS,
      steps: [
        { ...first, row: 's3-make', title: '1 GiB image: make into a bucket', server: 's3' },
        { ...out, row: 's3-extract', title: '1 GiB image: extract from a bucket', server: 's3' },
      ],
    },
  ];
}

/** Mounted file systems and block devices: fresh ones, in the caches of which nothing is yet. */
function served(): readonly Scenario[] {
  const file = make('mount', 'image-folder', 'folder with the 1 GiB image, to be mounted');
  const tree = make('mount-tree', 'tree', 'real tree, to be mounted');
  const image = make('nbd', 'image', '1 GiB image, to be a block device');
  const read = (step: Step, row: string, reading: ReadingName, title: string): Step => {
    return { ...step, row, reading, title, action: 'read', store: 'left' };
  };
  const ofMount = 'of a fresh mount (its start is not measured)';
  return [
    {
      id: 'mount',
      kind: 'tree',
      only: MOUNTERS,
      steps: [
        { ...file, row: 'mount-store' },
        read(file, 'mount-read', 'sequential', `1 GiB file ${ofMount}: read from begin to end`),
        read(file, 'mount-readers', 'parallel', `1 GiB file ${ofMount}: 8 readers of 8 parts`),
        read(file, 'mount-random', 'random', `1 GiB file ${ofMount}: 8 readers, 16,000 x 4 KiB`),
      ],
    },
    {
      id: 'mount-tree',
      kind: 'tree',
      only: MOUNTERS,
      steps: [
        { ...tree, row: 'mount-tree-store' },
        read(tree, 'mount-find', 'names', `real tree ${ofMount}: find`),
      ],
    },
    {
      id: 'nbd',
      kind: 'blob',
      only: ['ours', 'qemu-nbd'],
      steps: [
        { ...image, row: 'nbd-store', only: ['ours'] },
        read(image, 'nbd-copy', 'copy', '1 GiB image as a block device: nbdcopy to nowhere'),
      ],
    },
  ];
}

/** 1, 2, 4 and so on, and all of them. */
function coreCounts(available: number): readonly number[] {
  const counts: number[] = [];
  for (let count = 1; count < available; count *= 2) counts.push(count);
  return [...counts, available];
}

/** @param cores how many there are, for the rows that vary them */
export function allScenarios(cores: number): readonly Scenario[] {
  const image = allThree('image', 'blob', 'image', '1 GiB image');
  const versions = [
    version('changed', 'image with 1 % changed, store knows the old one'),
    version('inserted', 'image with an insertion, store knows the old one'),
  ];
  const small = make('small', 'small', 'one file of 1 MiB');
  return [
    { ...image, steps: [...image.steps, ...versions] },
    update(),
    allThree('tree', 'tree', 'tree', 'real tree'),
    allThree('tiny', 'tree', 'tiny', '100,000 files of 1 KB'),
    { ...makeAndExtract('holes', 'blob', 'holes', '8 GiB of holes'), cannotExtract: NOT_SPARSE },
    makeAndExtract('zeros', 'blob', 'zeros', '1 GiB of zeroes and holes'),
    makeAndExtract('noise', 'blob', 'noise', '1 GiB incompressible'),
    { id: 'small', kind: 'blob', steps: [small] },
    ...coreCounts(cores).map((count) => ({
      ...allThree(`cores-${count}`, 'blob', 'image', `1 GiB image, ${plural(count, 'core')}`),
      only: CHUNKERS,
      cores: count,
    })),
    ...SIZES.map((size) => ({
      ...makeAndExtract(
        `size-${size}`,
        'blob',
        dataSetOfSize(size),
        `image, ${size.slice(0, -1)} ${size.slice(-1)}iB`,
      ),
      only: CHUNKERS,
    })),
    ...remote(),
    ...served(),
  ];
}

function dataSetOfSize(size: (typeof SIZES)[number]): DataSetName {
  return size === '1G' ? 'image' : `image-${size}`;
}

function plural(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

/** Whether a row is meant by one of the names: its own, or the first words of it. */
function isMeant(row: string, names: readonly string[]): boolean {
  return names.some((name) => row === name || row.startsWith(`${name}-`));
}

/**
 * The scenarios that have the rows wanted, with the steps needed for them: a first make stays, as
 * long as anything stays.
 * @throws Error for a name that means no row
 */
export function selectScenarios(
  scenarios: readonly Scenario[],
  names: readonly string[] | undefined,
): { readonly scenarios: readonly Scenario[]; readonly rows: ReadonlySet<string> } {
  const all = scenarios.flatMap(({ steps }) => steps.map(({ row }) => row));
  const wrong = names?.find((name) => !all.some((row) => isMeant(row, [name])));
  if (wrong !== undefined) throw new Error(`no row "${wrong}"; there are ${all.join(', ')}`);
  const rows = new Set(all.filter((row) => names === undefined || isMeant(row, names)));
  const selected = scenarios.flatMap((scenario) => {
    // What an update extracts must be there.
    const isUpdate = scenario.steps.some(({ row, old }) => old !== undefined && rows.has(row));
    const steps = scenario.steps.filter(
      ({ row, store, action }) =>
        rows.has(row) || store === 'empty' || (isUpdate && action === 'make'),
    );
    return steps.some(({ row }) => rows.has(row)) ? [{ ...scenario, steps }] : [];
  });
  return { scenarios: selected, rows };
}
