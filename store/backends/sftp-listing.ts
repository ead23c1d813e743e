/** Listing of objects on an SFTP server, several folders at a time. Used by sftp-objects.ts. */
import { isCasError } from '../../formats/errors.ts';
import type { ListedObject } from '../backend.ts';
import { isObjectKey, TEMPORARY_NAME } from '../object-key.ts';
import type { FolderEntry, SftpCalls } from './sftp-calls.ts';

/** Folders within folders that are entered; a castr store has one. */
const MAX_DEPTH = 16;
/** Folders whose first entries are asked for before they are needed. */
const FOLDERS_AHEAD = 16;

type Listing = AsyncGenerator<ListedObject>;

/** A folder that is being listed, with its first object already asked for. */
interface Begun {
  readonly listing: Listing;
  readonly first: Promise<IteratorResult<ListedObject>>;
}

/** All objects below `root` whose key begins with `prefix`. @throws StorageError */
export async function* listSftpFolder(
  calls: SftpCalls,
  root: string,
  prefix: string,
  signal: AbortSignal | undefined,
): Listing {
  const start = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  if (start !== '' && !isObjectKey(start.slice(0, -1))) return;
  yield* listFolder(start);

  async function* listFolder(keyPrefix: string): Listing {
    if (keyPrefix.split('/').length > MAX_DEPTH) return;
    const ahead: Begun[] = [];
    try {
      for await (const entry of entriesOf(calls, `${root}/${keyPrefix}`, signal)) {
        const key = keyPrefix + entry.name;
        const { type, size, modified } = entry.attributes;
        const name = type === 'folder' ? `${key}/` : key;
        if (!isObjectKey(key) || !(name.startsWith(prefix) || prefix.startsWith(name))) continue;
        if (type === 'folder') ahead.push(begin(listFolder(name)));
        else if (type === 'file' && name.startsWith(prefix) && !TEMPORARY_NAME.test(name)) {
          yield { key, size, modified };
        }
        const oldest = ahead.length > FOLDERS_AHEAD ? ahead.shift() : undefined;
        if (oldest !== undefined) yield* rest(oldest);
      }
      for (let next = ahead.shift(); next !== undefined; next = ahead.shift()) yield* rest(next);
    } finally {
      for (const { listing } of ahead) void listing.return(undefined).catch(() => {});
    }
  }
}

function begin(listing: Listing): Begun {
  const first = listing.next();
  // A failure is told when the listing's turn comes.
  first.catch(() => {});
  return { listing, first };
}

async function* rest({ listing, first }: Begun): Listing {
  try {
    const { done, value } = await first;
    if (done) return;
    yield value;
    yield* listing;
  } finally {
    void listing.return(undefined).catch(() => {});
  }
}

/** The entries of a folder; none if that is not there, or no more. */
async function* entriesOf(
  calls: SftpCalls,
  path: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<FolderEntry> {
  signal?.throwIfAborted();
  let handle = '';
  const ask = (): Promise<readonly FolderEntry[]> => {
    const answer = calls.readFolder(path, handle);
    // It may be that nobody waits for it.
    answer.catch(() => {});
    return answer;
  };
  try {
    handle = await calls.openFolder(path);
  } catch (error) {
    if (isCasError(error) && error.code === 'OBJECT_MISSING') return;
    throw error;
  }
  try {
    // Most folders end with the second answer, so one is always asked for ahead.
    let next = ask();
    for (;;) {
      const current = next;
      next = ask();
      const entries = await current;
      if (entries.length === 0) return;
      for (const entry of entries) {
        signal?.throwIfAborted();
        if (entry.name !== '.' && entry.name !== '..') yield entry;
      }
    }
  } finally {
    void calls.closeQuietly(handle);
  }
}
