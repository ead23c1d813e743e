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
  /**
   * Endings of names that a shell offers first, word by word; what stands last is for all that follow.
   * Anything where there are none.
   */
  readonly endings?: readonly (readonly string[])[];
  /** Whether `--digest` may be one that only maps know. */
  readonly makesMaps?: true;
  readonly run: Command;
}

const INDEX_ENDINGS = ['.caidx', '.caibx'];
const ALL_ENDINGS = ['.catar', ...INDEX_ENDINGS];

const PATH_AND_SUBTREE = 'Input path/URL and subtree path expected.';

export const VERBS: readonly Verb[] = [
  {
    name: 'make',
    synopsis: '[OUTPUT] [INPUT]',
    description:
      'Make an archive (.catar) or an archive index (.caidx) of a directory, or a blob index (.caibx) of a file or block device',
    maxWords: 2,
    tooManyWords: 'A pair of output and input path/URL expected.',
    endings: [ALL_ENDINGS, []],
    run: async (words, context) => (await import('./commands/make.ts')).make(words, context),
  },
  {
    name: 'extract',
    synopsis: '[INPUT] [OUTPUT] [SUBPATH]',
    description:
      'Extract an archive or archive index into a directory, or a blob index to a file or block device',
    maxWords: 3,
    tooManyWords: 'Input path/URL, output path, and subtree path expected.',
    endings: [ALL_ENDINGS, []],
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
  {
    name: 'gc',
    synopsis: 'INDEX...',
    description: 'Remove the chunks of a store that none of the indexes needs',
    maxWords: Number.POSITIVE_INFINITY,
    tooManyWords: '',
    endings: [INDEX_ENDINGS],
    run: async (words, context) => (await import('./commands/gc.ts')).gc(words, context),
  },
  {
    name: 'verify',
    synopsis: 'INPUT [TARGET]',
    description:
      'Check that a directory, file or device equals an archive or index, or that every chunk of an index or store is good',
    maxWords: 2,
    tooManyWords: 'Archive, index or store, and what it is compared with, expected.',
    run: async (words, context) => (await import('./commands/verify.ts')).verify(words, context),
  },
  {
    name: 'diff',
    synopsis: 'A B',
    description:
      'Tell in which entries or ranges two archives, indexes, directories or blobs differ',
    maxWords: 2,
    tooManyWords: 'Two things to compare expected.',
    run: async (words, context) => (await import('./commands/diff.ts')).diff(words, context),
  },
  {
    name: 'put',
    synopsis: 'INDEX [INPUT]',
    description: 'Store a blob, or an archive as it is, and write its index',
    maxWords: 2,
    tooManyWords: 'An index and an input expected.',
    endings: [INDEX_ENDINGS, []],
    run: async (words, context) => (await import('./commands/put.ts')).put(words, context),
  },
  {
    name: 'get',
    synopsis: 'INDEX [OUTPUT]',
    description: 'Put together the blob or archive behind an index',
    maxWords: 2,
    tooManyWords: 'An index and an output expected.',
    endings: [INDEX_ENDINGS, []],
    run: async (words, context) => (await import('./commands/get.ts')).get(words, context),
  },
  {
    name: 'cat',
    synopsis: 'INPUT [PATH]',
    description: 'Print a part of a blob, or a file of an archive, and fetch nothing else',
    maxWords: 2,
    tooManyWords: PATH_AND_SUBTREE,
    run: async (words, context) => (await import('./commands/cat.ts')).cat(words, context),
  },
  {
    name: 'manifest',
    synopsis: '[INPUT] [SUBPATH]',
    description: 'The same as mtree; with --json one object a line',
    maxWords: 2,
    tooManyWords: PATH_AND_SUBTREE,
    run: async (words, context) => (await import('./commands/list.ts')).mtree(words, context),
  },
  {
    name: 'clone',
    synopsis: 'SOURCE TARGET',
    description: 'Make a directory equal to another; what is equal already stays untouched',
    maxWords: 2,
    tooManyWords: 'A source and a target directory expected.',
    run: async (words, context) => (await import('./commands/clone.ts')).clone(words, context),
  },
  {
    name: 'info',
    synopsis: 'INPUT',
    description:
      'Show sizes and chunks of an index, archive or store, and what an update would fetch',
    maxWords: 1,
    tooManyWords: 'One index, archive or store expected.',
    run: async (words, context) => (await import('./commands/info.ts')).info(words, context),
  },
  {
    name: 'copy',
    synopsis: 'INDEX...',
    description:
      'Copy indexes to the place of another store, and the chunks that this store lacks into it',
    maxWords: Number.POSITIVE_INFINITY,
    tooManyWords: '',
    endings: [INDEX_ENDINGS],
    run: async (words, context) => (await import('./commands/copy.ts')).copy(words, context),
  },
  {
    name: 'serve',
    synopsis: '[PLACE]',
    description:
      'Give chunks and indexes of a folder or store away over HTTP; --stdio: the far end of sync',
    maxWords: 1,
    tooManyWords: 'One folder or store expected.',
    run: async (words, context) => (await import('./commands/serve.ts')).serve(words, context),
  },
  {
    name: 'mount',
    synopsis: '[INPUT] MOUNTPOINT',
    description: 'Make an archive, or what is behind an index, a file system that can be read',
    maxWords: 2,
    tooManyWords: 'An archive path/URL expected, followed by a mount path.',
    run: async (words, context) => (await import('./commands/mount.ts')).mount(words, context),
  },
  {
    name: 'mkdev',
    synopsis: '[INPUT] [NODE]',
    description: 'Make a blob, or the blob behind an index, a block device of the kernel',
    maxWords: 2,
    tooManyWords: 'An blob path/URL expected, possibly followed by a device or symlink name.',
    run: async (words, context) => (await import('./commands/mkdev.ts')).mkdev(words, context),
  },
  {
    name: 'serve-nbd',
    synopsis: 'INPUT',
    description: 'Give a blob, or the blob behind an index, away as a network block device',
    maxWords: 1,
    tooManyWords: 'One blob path/URL expected.',
    run: async (words, context) =>
      (await import('./commands/serve-nbd.ts')).serveNbd(words, context),
  },
  {
    name: 'index',
    synopsis: 'FILE',
    description: 'Make an index of a file or device, and no store',
    maxWords: 1,
    tooManyWords: 'One file or device expected.',
    run: async (words, context) => (await import('./commands/index.ts')).index(words, context),
  },
  {
    name: 'sync',
    synopsis: 'SOURCE... DESTINATION',
    description:
      'Bring a file, device, tree or several of them to the content of others, here or over ssh',
    maxWords: Number.POSITIVE_INFINITY,
    tooManyWords: '',
    makesMaps: true,
    run: async (words, context) => (await import('./commands/sync.ts')).sync(words, context),
  },
  {
    name: 'delta',
    synopsis: 'SOURCE',
    description: 'Make a delta: what leads from a base to the source',
    maxWords: 1,
    tooManyWords: 'One file or device expected.',
    run: async (words, context) => (await import('./commands/delta.ts')).delta(words, context),
  },
  {
    name: 'patch',
    synopsis: 'BASE DELTA...',
    description: 'Apply deltas to a file or device, in place or to another file',
    maxWords: Number.POSITIVE_INFINITY,
    tooManyWords: '',
    run: async (words, context) => (await import('./commands/patch.ts')).patch(words, context),
  },
  {
    name: 'compose',
    synopsis: 'DELTA...',
    description: 'Make one delta of several that follow each other',
    maxWords: Number.POSITIVE_INFINITY,
    tooManyWords: '',
    run: async (words, context) => (await import('./commands/compose.ts')).compose(words, context),
  },
  {
    name: 'log',
    synopsis: '',
    description: 'Show the versions of a chain in a store',
    maxWords: 0,
    tooManyWords: 'No words expected; --name names the chain.',
    run: async (words, context) => (await import('./commands/log.ts')).log(words, context),
  },
  {
    name: 'tag',
    synopsis: 'VERSION [TAG]',
    description: 'Give a version of a chain a further name, or take it away',
    maxWords: 2,
    tooManyWords: 'A version and a name expected.',
    run: async (words, context) => (await import('./commands/tag.ts')).tag(words, context),
  },
  {
    name: 'prune',
    synopsis: '[VERSION...]',
    description: 'Forget versions of a chain, those named or all that no --keep rule keeps',
    maxWords: Number.POSITIVE_INFINITY,
    tooManyWords: '',
    run: async (words, context) => (await import('./commands/prune.ts')).prune(words, context),
  },
  {
    name: 'map',
    synopsis: 'ACTION FILE',
    description:
      'Look after the map of a destination of sync: show, check, rebuild, bind or forget it',
    maxWords: 2,
    tooManyWords: 'What to do, and a file or device, expected.',
    makesMaps: true,
    run: async (words, context) => (await import('./commands/map.ts')).map(words, context),
  },
  {
    name: 'export',
    synopsis: 'SOURCE [OUTPUT]',
    description: 'Write an image, index or difference in the format of another program',
    maxWords: 2,
    tooManyWords: 'A source and an output expected.',
    run: async (words, context) =>
      (await import('./commands/export.ts')).exportImage(words, context),
  },
  {
    name: 'import',
    synopsis: 'SOURCE [OUTPUT]',
    description: 'Read an image, index or difference of another program',
    maxWords: 2,
    tooManyWords: 'A source and an output expected.',
    run: async (words, context) =>
      (await import('./commands/import.ts')).importImage(words, context),
  },
  {
    name: 'config',
    synopsis: '[LOCATOR]',
    description: 'Show the settings in effect, of all places or of one, without secrets',
    maxWords: 1,
    tooManyWords: 'One location expected.',
    run: async (words, context) => (await import('./commands/config.ts')).config(words, context),
  },
];

/** Verbs for other programs, which the help does not show. */
const PEER_VERBS: readonly Verb[] = [
  {
    name: 'signature',
    synopsis: 'FILE',
    description: 'The same as index',
    maxWords: 1,
    tooManyWords: 'One file or device expected.',
    run: async (words, context) => (await import('./commands/index.ts')).index(words, context),
  },
  {
    name: 'pull',
    synopsis: 'BASE ARCHIVE INDEX STORE...',
    description: 'Give an archive, an index and chunks over the casync protocol',
    maxWords: Number.POSITIVE_INFINITY,
    tooManyWords: '',
    run: async (words, context) => (await import('./commands/pull.ts')).pull(words, context),
  },
  {
    name: 'push',
    synopsis: 'BASE ARCHIVE INDEX STORE...',
    description: 'Take an archive, an index and chunks over the casync protocol',
    maxWords: Number.POSITIVE_INFINITY,
    tooManyWords: '',
    run: async (words, context) => (await import('./commands/push.ts')).push(words, context),
  },
  {
    name: 'udev',
    synopsis: 'DEVNODE',
    description: 'Tell a rule of udev the name of a device of mkdev',
    maxWords: 1,
    tooManyWords: 'Expected one argument.',
    run: async (words, context) => (await import('./commands/udev.ts')).udev(words, context),
  },
];

export function findVerb(name: string): Verb | undefined {
  return [...VERBS, ...PEER_VERBS].find((verb) => verb.name === name);
}
