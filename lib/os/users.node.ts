/**
 * Names and numbers of users and groups, as bytes: through the C library, so that every configured
 * source (NSS) and pseudo are asked; without koffi from /etc/passwd and /etc/group. Answers are kept
 * for the life of the process. Used by the folder walk and by extraction.
 */
import { readFileSync } from 'node:fs';
import { type Address, bytesAt, fieldAt, type Libc, libc, terminated } from './libc.node.ts';

/** Name of a user, or undefined if nobody has that number. */
export function userName(uid: number): Uint8Array | undefined {
  return remembered(users.names, uid, () => nameOf(uid, 'getpwuid', '/etc/passwd'));
}

/** Name of a group, or undefined if none has that number. */
export function groupName(gid: number): Uint8Array | undefined {
  return remembered(groups.names, gid, () => nameOf(gid, 'getgrgid', '/etc/group'));
}

/** Number of a user, or undefined if nobody has that name. */
export function userId(name: Uint8Array): number | undefined {
  return remembered(users.ids, keyOf(name), () => idOf(name, 'getpwnam', '/etc/passwd'));
}

/** Number of a group, or undefined if none has that name. */
export function groupId(name: Uint8Array): number | undefined {
  return remembered(groups.ids, keyOf(name), () => idOf(name, 'getgrnam', '/etc/group'));
}

/** struct passwd and struct group both begin: char *name, char *password, number. */
const ID_OFFSET = 16;

const users = newCache();
const groups = newCache();

function newCache() {
  return {
    names: new Map<number, Uint8Array | undefined>(),
    ids: new Map<string, number | undefined>(),
  } as const;
}

/** Foreign archives may name any number of users: the cache starts over instead of growing. */
const MOST_REMEMBERED = 65536;

function remembered<Key, Value>(cache: Map<Key, Value>, key: Key, ask: () => Value): Value {
  const known = cache.get(key);
  if (known !== undefined || cache.has(key)) return known as Value;
  if (cache.size >= MOST_REMEMBERED) cache.clear();
  const value = ask();
  cache.set(key, value);
  return value;
}

function nameOf(id: number, query: 'getpwuid' | 'getgrgid', file: string): Uint8Array | undefined {
  const c = libc();
  if (c === undefined) return readDatabase(file).find((line) => line.id === id)?.name;
  const record = c[query](id);
  return record === null ? undefined : bytesAt(fieldAt<Address>(record, 0, 'void *'));
}

function idOf(name: Uint8Array, query: 'getpwnam' | 'getgrnam', file: string): number | undefined {
  const c: Libc | undefined = libc();
  if (c === undefined) {
    return readDatabase(file).find((line) => keyOf(line.name) === keyOf(name))?.id;
  }
  if (name.includes(0)) return undefined;
  const record = c[query](terminated(name));
  return record === null ? undefined : fieldAt<number>(record, ID_OFFSET, 'uint32_t');
}

interface DatabaseLine {
  readonly name: Uint8Array;
  readonly id: number;
}

function readDatabase(file: string): readonly DatabaseLine[] {
  return textOf(file)
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 3 && /^\d+$/.test(fields[2]))
    .map((fields) => ({ name: Buffer.from(fields[0], 'latin1'), id: Number(fields[2]) }));
}

/** Latin-1 keeps every byte as one character. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    // A system without user database knows no names.
    return '';
  }
}

function keyOf(name: Uint8Array): string {
  return Buffer.from(name).toString('latin1');
}
