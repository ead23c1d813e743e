/** The command line of `npm run bench`. Used by main.ts. */
import { parseArgs } from 'node:util';
import { numberOf, wordsOf } from './program.ts';

export interface BenchOptions {
  readonly rounds: number;
  readonly warmUps: number;
  readonly scale: number;
  /** Rows or beginnings of their names; undefined for all. */
  readonly rows?: readonly string[];
  /** Contestants beside this project; undefined for all that are there. */
  readonly peers?: readonly string[];
  /** Paths of contestants by name. */
  readonly paths: Readonly<Record<string, string>>;
  /** Folder for data, stores and outputs; undefined for one that is chosen. */
  readonly work?: string;
  readonly keepData: boolean;
  /** Folder for the reports; undefined for none. */
  readonly out?: string;
  readonly checkFloors: boolean;
  /** CASYNC_WORKERS for this project; undefined for its own choice. */
  readonly workers?: number;
  /** A result to report again instead of measuring. */
  readonly from?: string;
  readonly help: boolean;
}

export const HELP = `Usage: npm run bench -- [OPTION...]

Compares whole commands of this project with casync, desync, zstd, tar, borg and restic, those of
them that are installed. An hour with all of them. Without 14 GiB of free memory it uses the disk.
What was made is compared with the input and among programs; what is wrong fails the run. Rows of
mounts need /dev/fuse, and root or fusermount3; those of block devices libnbd.

  --rounds=5             Measured rounds
  --warmup=1             Rounds before them that are not measured
  --rows=ROW,...         Only these rows: image-make, or all that begin so: image, tree, size
  --peers=NAME,...       Only these contestants beside ours, or none; also ours-nosync
  --peer NAME=PATH       Where a contestant is, repeatable; also ours=PATH. For desync also $DESYNC
  --workers=N            CASYNC_WORKERS for ours
  --scale=1              Size of the data, for example 0.05
  --quick                The same as --scale=0.01 --rounds=1 --warmup=0
  --work=DIR             Where data, stores and outputs are; chosen: in memory if there is room
  --keep                 Leave the data in DIR/casync-bench for the next run
  --out=DIR              Where results.json, .md, .svg and scaling.svg go. Chosen: bench/results
                         for a full run in memory, bench/results/disk elsewhere; none for a part
  --check                Say for each floor of bench/floors.json whether it holds; fail if not
  --from=results.json    Measure nothing: report, draw and check this result again
`;

const QUICK = { scale: 0.01, rounds: 1, warmUps: 0 };

/** @throws Error for what cannot be understood */
export function parseOptions(words: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...words],
    options: {
      rounds: { type: 'string' },
      warmup: { type: 'string' },
      rows: { type: 'string' },
      peers: { type: 'string' },
      peer: { type: 'string', multiple: true },
      workers: { type: 'string' },
      scale: { type: 'string' },
      quick: { type: 'boolean' },
      work: { type: 'string' },
      keep: { type: 'boolean' },
      out: { type: 'string' },
      check: { type: 'boolean' },
      from: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const usual = values.quick ? QUICK : { scale: 1, rounds: 5, warmUps: 1 };
  const options: BenchOptions = {
    rounds: numberOf('rounds', values.rounds, { usual: usual.rounds, least: 1, isWhole: true }),
    warmUps: numberOf('warmup', values.warmup, { usual: usual.warmUps, least: 0, isWhole: true }),
    scale: numberOf('scale', values.scale, { usual: usual.scale, least: 0.001, isWhole: false }),
    rows: wordsOf(values.rows),
    peers: wordsOf(values.peers),
    paths: Object.fromEntries((values.peer ?? []).map(parsePeer)),
    work: values.work,
    keepData: values.keep === true,
    out: values.out,
    checkFloors: values.check === true,
    workers:
      values.workers === undefined
        ? undefined
        : numberOf('workers', values.workers, { usual: 0, least: 0, isWhole: true }),
    from: values.from,
    help: values.help === true,
  };
  if (options.checkFloors && options.scale !== 1) {
    throw new Error('--check needs data of full size: no --scale, no --quick');
  }
  return options;
}

function parsePeer(word: string): readonly [string, string] {
  const [, name, path] = /^([\w-]+)=(.+)$/.exec(word) ?? [];
  if (name === undefined || path === undefined) throw new Error(`--peer ${word}: wanted NAME=PATH`);
  return [name, path];
}
