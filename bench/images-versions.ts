/**
 * What `npm run bench:images` measures of versions that are kept: how long the next one takes, by how much
 * it grows, and how long the one before takes to come back.
 */
import { join } from 'node:path';
import { command, type ImageContestant, type ImagePlace } from './images-task.ts';
import type { Command } from './measure.ts';

const FIXED = '--chunker-params=fixed,65536';

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

export const KEEP = KEEPERS.map((keeper): ImageContestant => {
  const { name, program } = keeper;
  return {
    name,
    program,
    prepare: (place, path) => commandsOf(keeper, place, path).first,
    run: (place, path) => commandsOf(keeper, place, path).second,
    made: ({ folder }) => [join(folder, 'repository')],
  };
});

export const RESTORE = KEEPERS.map((keeper): ImageContestant => {
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
