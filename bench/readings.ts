/**
 * How what is served is read: the commands that are timed, and those that check afterwards that the
 * right things were read. They must cost little beside the service: large blocks, nothing hashed in
 * time. Used by rows.ts and turns.ts.
 */
import { join } from 'node:path';
import type { Command } from './measure.ts';
import type { ServiceKind } from './peers.ts';

export type ReadingName = 'sequential' | 'parallel' | 'random' | 'names' | 'copy';

export interface ReadPlace {
  /** Mount point, or URI of the block device. */
  readonly served: string;
  /** What must be read there: the folder or the file that a make has taken. */
  readonly input: string;
  /** Folder for results; empty. */
  readonly results: string;
}

export interface Reading {
  readonly service: ServiceKind;
  /** The command that is timed. */
  read(place: ReadPlace): Command;
  /** Fails if what `read` has got is not what is in the input. */
  check(place: ReadPlace): Command;
}

/** The only file of the folder that is mounted; see `image-folder` in data-sets.ts. */
export const ONLY_FILE = 'image';
const PARALLEL_READERS = 8;
const RANDOM_READERS = 8;
const RANDOM_READS = 2000;

function shell(script: string, ...words: readonly string[]): Command {
  return { words: ['sh', '-ec', script, 'sh', ...words] };
}

const fileOf = (folder: string): string => join(folder, ONLY_FILE);

/** Of a fresh mount that is what the kernel has kept of the reading, as far as it keeps anything. */
const sameFile = ({ served, input }: ReadPlace): Command => ({
  words: ['cmp', fileOf(served), fileOf(input)],
});

/** Each reader takes a part of its own, from begin to end. */
const IN_PARTS = `
  part=$((($(stat -c %s "$1") + $2 - 1) / $2)) processes=
  for i in $(seq 0 $(($2 - 1))); do
    dd if="$1" of=/dev/null bs=1M iflag=skip_bytes,count_bytes skip=$((i * part)) count=$part \\
      status=none &
    processes="$processes $!"
  done
  for process in $processes; do wait $process; done`;

function randomReads(file: string, output: string): Command {
  const program = join(import.meta.dirname, 'random-reads.mjs');
  const numbers = [`${RANDOM_READERS}`, `${RANDOM_READS}`];
  return { words: [process.execPath, program, file, output, ...numbers] };
}

export const READINGS: Readonly<Record<ReadingName, Reading>> = {
  sequential: {
    service: 'mount',
    read: ({ served }) => ({
      words: ['dd', `if=${fileOf(served)}`, 'of=/dev/null', 'bs=4M', 'status=none'],
    }),
    check: sameFile,
  },
  parallel: {
    service: 'mount',
    read: ({ served }) => shell(IN_PARTS, fileOf(served), `${PARALLEL_READERS}`),
    check: sameFile,
  },
  random: {
    service: 'mount',
    read: ({ served, results }) => randomReads(fileOf(served), join(results, 'digests')),
    check: ({ input, results }) => {
      const { words } = randomReads(fileOf(input), join(results, 'wanted'));
      return shell('cd "$1"; shift; "$@"; cmp digests wanted', results, ...words);
    },
  },
  names: {
    service: 'mount',
    read: ({ served, results }) =>
      shell('cd "$1"; exec find . > "$2"', served, join(results, 'names')),
    check: ({ input, results }) => {
      const script = 'cd "$1"; find . | sort > "$2/wanted"; sort "$2/names" | cmp - "$2/wanted"';
      return shell(script, input, results);
    },
  },
  copy: {
    service: 'nbd',
    read: ({ served }) => ({ words: ['nbdcopy', served, 'null:'] }),
    check: ({ served, input, results }) => {
      const script = 'nbdcopy "$1" "$3/copy"; cmp "$3/copy" "$2"; rm "$3/copy"';
      return shell(script, served, input, results);
    },
  },
};
