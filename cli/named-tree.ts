/** The input of list, mtree and stat: a folder, an archive, or an index with its store. */
import { subtreePath } from '../lib/api/subtree.ts';
import type { VisitOptions } from '../lib/api/visit-tree.node.ts';
import { classifyLocator } from '../store/location.ts';
import type { Context } from './context.ts';
import {
  inputOf,
  kindOfName,
  type OpenedInput,
  openInput,
  refuse,
  refuseEmpty,
  STANDARD_STREAM,
} from './kinds.ts';
import type { Kind } from './options.ts';
import { seedOptions } from './seeds.ts';
import { storeOptions } from './stores.ts';
import { folderOptions } from './trees.ts';
import { workOptions } from './work.ts';

type TreeKind = 'archive' | 'archive-index' | 'directory';

/** What the options and the name say, before anything is opened. */
function namedKind(verb: string, word: string, what: Kind | undefined): Kind | undefined {
  if (what === 'blob' || what === 'blob-index') {
    throw refuse(
      `"${verb}" operation may only be combined with --what=archive, archive-index, or directory.`,
    );
  }
  refuseEmpty(word, 'type of locator');
  const kind = what ?? kindOfName(word);
  if (kind === undefined && classifyLocator(word).kind !== 'path') {
    throw refuse(
      'Failed to determine what to list. Use --what=archive, archive-index, or directory.',
    );
  }
  return kind;
}

/** Settles what the input is. */
function treeKind(word: string, input: OpenedInput, kind: Kind | undefined): TreeKind {
  if (input.type === 'directory') {
    if (kind === undefined || kind === 'directory') return 'directory';
    throw refuse('Input is a directory, but attempted to list archive or index.');
  }
  inputOf(input);
  if (kind === 'directory') {
    throw refuse('Input is a regular file, but attempted to list it as directory.');
  }
  if (kind === 'archive' || kind === 'archive-index') return kind;
  if (word === STANDARD_STREAM) return 'archive';
  throw refuse('Input should be a directory, .catar or .caidx file. Refusing.');
}

/** An input as the library takes it. */
export interface NamedTree extends VisitOptions {
  /** Empty for the root. */
  readonly subtree: Uint8Array;
}

/** Opens what the words name and says how it is to be read. */
export function nameTree(verb: string, words: readonly string[], context: Context): NamedTree {
  const word = words[0] ?? '.';
  const subtree = subtreePath(words[1]);
  const named = namedKind(verb, word, context.options.what);
  const input = openInput(word, (label) => `Failed to open "${label}"`);
  const kind = treeKind(word, input, named);
  if (kind === 'directory' && subtree.length > 0) {
    throw refuse('Subtree path only supported when listing archive or archive index.');
  }
  return {
    ...inputOf(input),
    ...storeOptions(word, context),
    ...seedOptions(context),
    ...folderOptions(context),
    kind,
    subtree,
    ...workOptions(context),
  };
}
