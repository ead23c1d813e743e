/** `cat INPUT [PATH]` (spec/command-line.md): a part of a blob, or a file of an archive, and nothing else. */
import { isatty } from 'node:tty';
import { cat as piecesOf } from '../../lib/api/cat.node.ts';
import { writeFully } from '../../lib/os/write.node.ts';
import { unlessAborted } from '../../lib/read/waiting.ts';
import type { Context } from '../context.ts';
import {
  inputOf,
  kindOfName,
  type OpenedInput,
  openInput,
  refuse,
  refuseEmpty,
  STANDARD_STREAM,
} from '../kinds.ts';
import type { Kind } from '../options.ts';
import { reportStatistics } from '../report.ts';
import { storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { threadOption } from '../work.ts';

type CatKind = Exclude<Kind, 'directory'>;

const STDOUT = 1;

/** @throws CasError `USAGE` for what cannot be read anywhere */
function kindOf(word: string, { type }: OpenedInput, what: Kind | undefined): CatKind {
  const kind = what ?? kindOfName(word) ?? 'blob';
  if (kind === 'directory') {
    throw refuse(
      '"cat" operation may only be combined with --what=archive, archive-index, blob or blob-index.',
    );
  }
  if (type === 'directory') throw refuse('Input is a directory. Refusing.');
  if (type === 'stream' || type === 'pipe') throw refuse('Seekable archive required.');
  return kind;
}

export async function cat(words: readonly string[], context: Context): Promise<void> {
  const { options, onProgress, signal } = context;
  const [word = STANDARD_STREAM, path] = words;
  if (words.length === 0) throw refuse('Input path/URL expected.');
  refuseEmpty(word, 'class of locator');
  const opened = openInput(word, (label) => `Failed to open "${label}"`);
  const kind = kindOf(word, opened, options.what);
  const startedAtMs = performance.now();
  let byteCount = 0;
  await synchronize(async () => {
    const pieces = piecesOf({
      ...inputOf(opened),
      ...storeOptions(word, context),
      kind,
      ...(path !== undefined && { subtree: path }),
      ...(options.offset !== undefined && { offset: options.offset }),
      ...(options.length !== undefined && { length: options.length }),
      signal,
      ...threadOption(context),
      ...(isatty(STDOUT) ? {} : { onProgress }),
    });
    for await (const piece of pieces) {
      // A reader that takes nothing must not keep a signal from ending the run.
      await unlessAborted(writeFully(STDOUT, piece, null), signal);
      byteCount += piece.length;
    }
  });
  reportStatistics(context, 'cat', { byteCount, totalMs: performance.now() - startedAtMs });
}
