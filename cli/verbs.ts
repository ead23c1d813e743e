/** The verbs: their words, help and the module that carries them out, loaded when it is needed. */
import type { Command } from './context.ts';

export interface Verb {
  readonly name: string;
  /** Words behind the verb, as the help shows them. */
  readonly synopsis: string;
  readonly description: string;
  readonly maxWords: number;
  /** What is said when there are more. */
  readonly tooManyWords: string;
  readonly run: Command;
}

const PATH_AND_SUBTREE = 'Input path/URL and subtree path expected.';

export const VERBS: readonly Verb[] = [
  {
    name: 'make',
    synopsis: '[OUTPUT] [INPUT]',
    description:
      'Make an archive (.catar) or an archive index (.caidx) of a directory, or a blob index (.caibx) of a file or block device',
    maxWords: 2,
    tooManyWords: 'A pair of output and input path/URL expected.',
    run: async (words, context) => (await import('./commands/make.ts')).make(words, context),
  },
  {
    name: 'extract',
    synopsis: '[INPUT] [OUTPUT] [SUBPATH]',
    description:
      'Extract an archive or archive index into a directory, or a blob index to a file or block device',
    maxWords: 3,
    tooManyWords: 'Input path/URL, output path, and subtree path expected.',
    run: async (words, context) => (await import('./commands/extract.ts')).extract(words, context),
  },
  {
    name: 'list',
    synopsis: '[INPUT] [SUBPATH]',
    description: 'List the contents of an archive, archive index or directory',
    maxWords: 2,
    tooManyWords: PATH_AND_SUBTREE,
    run: async (words, context) => (await import('./commands/list.ts')).list(words, context),
  },
  {
    name: 'mtree',
    synopsis: '[INPUT] [SUBPATH]',
    description: 'The same as an mtree(5) manifest with digests',
    maxWords: 2,
    tooManyWords: PATH_AND_SUBTREE,
    run: async (words, context) => (await import('./commands/list.ts')).mtree(words, context),
  },
  {
    name: 'stat',
    synopsis: '[INPUT] [SUBPATH]',
    description: 'Show all that is known of one object of an archive, archive index or directory',
    maxWords: 2,
    tooManyWords: PATH_AND_SUBTREE,
    run: async (words, context) => (await import('./commands/stat.ts')).stat(words, context),
  },
  {
    name: 'digest',
    synopsis: '[INPUT] [SUBPATH]',
    description: 'Print the digest of a directory, file, block device, archive or index',
    maxWords: 2,
    tooManyWords: PATH_AND_SUBTREE,
    run: async (words, context) => (await import('./commands/digest.ts')).digest(words, context),
  },
];

/** Verbs of the original that this version does not have. */
export const NOT_YET_AVAILABLE: readonly string[] = [
  'mount',
  'mkdev',
  'gc',
  'pull',
  'push',
  'udev',
];

export function findVerb(name: string): Verb | undefined {
  return VERBS.find((verb) => verb.name === name);
}
