/**
 * What one side of a session asks the other to do with an image. Implements spec/formats/session.md,
 * "Opening".
 */
import type { BlockDigestName } from './block-digest.ts';
import { asciiBytes } from './bytes.ts';
import { Fields, FieldWriter } from './session-fields.ts';

const SIZE_POLICIES = ['exact', 'resize', 'larger-ok', 'common'] as const;
const SPARSE_POLICIES = ['auto', 'always', 'never'] as const;
const FSYNC_POLICIES = ['batch', 'end', 'none'] as const;
const VERIFICATIONS = ['none', 'written', 'full'] as const;
const DIGESTS: readonly BlockDigestName[] = ['sha256', 'sha512-256', 'blake2b-256'];
const SNAPSHOTS = ['auto', 'reflink', 'none'] as const;

/** The near side has an image for a place there. */
export interface PushMessage {
  /** UTF-8. */
  readonly path: Uint8Array;
  /** Of the file, if the path is a folder. */
  readonly name: Uint8Array | undefined;
  readonly isDryRun: boolean;
  readonly sizePolicy: (typeof SIZE_POLICIES)[number] | undefined;
  readonly map: Uint8Array | undefined;
  readonly blockSize: number | undefined;
  readonly digest: BlockDigestName | undefined;
  readonly isChecked: boolean;
  readonly sparse: (typeof SPARSE_POLICIES)[number] | undefined;
  readonly discards: boolean;
  readonly forcesDevice: boolean;
  readonly batch: number | undefined;
  readonly fsync: (typeof FSYNC_POLICIES)[number] | undefined;
  readonly verify: (typeof VERIFICATIONS)[number] | undefined;
  readonly noCache: boolean;
}

/** Whoever does not know one of those from 129 on would do something else than was meant. */
const PUSH = {
  path: 129,
  name: 130,
  isDryRun: 131,
  sizePolicy: 132,
  map: 133,
  blockSize: 134,
  digest: 135,
  verify: 136,
  isChecked: 1,
  sparse: 2,
  discards: 3,
  forcesDevice: 4,
  batch: 5,
  fsync: 6,
  noCache: 7,
} as const;

export function encodePush(message: PushMessage): Uint8Array {
  const { digest } = message;
  return new FieldWriter()
    .bytes(PUSH.path, message.path)
    .bytes(PUSH.name, message.name)
    .flag(PUSH.isDryRun, message.isDryRun)
    .bytes(PUSH.sizePolicy, wordBytes(message.sizePolicy))
    .bytes(PUSH.map, message.map)
    .number(PUSH.blockSize, message.blockSize)
    .bytes(PUSH.digest, wordBytes(digest))
    .bytes(PUSH.verify, wordBytes(message.verify))
    .flag(PUSH.isChecked, message.isChecked)
    .bytes(PUSH.sparse, wordBytes(message.sparse))
    .flag(PUSH.discards, message.discards)
    .flag(PUSH.forcesDevice, message.forcesDevice)
    .number(PUSH.batch, message.batch)
    .bytes(PUSH.fsync, wordBytes(message.fsync))
    .flag(PUSH.noCache, message.noCache)
    .finish();
}

/** @throws FormatError */
export function decodePush(content: Uint8Array): PushMessage {
  const fields = new Fields('PUSH', content, Object.values(PUSH));
  return {
    path: pathOf(fields, PUSH.path),
    name: fields.bytes(PUSH.name),
    isDryRun: fields.has(PUSH.isDryRun),
    sizePolicy: wordOf(fields, PUSH.sizePolicy, SIZE_POLICIES),
    map: fields.bytes(PUSH.map),
    blockSize: positive(fields, PUSH.blockSize),
    digest: wordOf(fields, PUSH.digest, DIGESTS),
    isChecked: fields.has(PUSH.isChecked),
    sparse: wordOf(fields, PUSH.sparse, SPARSE_POLICIES),
    discards: fields.has(PUSH.discards),
    forcesDevice: fields.has(PUSH.forcesDevice),
    batch: positive(fields, PUSH.batch),
    fsync: wordOf(fields, PUSH.fsync, FSYNC_POLICIES),
    verify: wordOf(fields, PUSH.verify, VERIFICATIONS),
    noCache: fields.has(PUSH.noCache),
  };
}

/** The near side wants an image that is there. */
export interface PullMessage {
  /** UTF-8. */
  readonly path: Uint8Array;
  readonly skipsUnreadable: boolean;
  readonly snapshot: (typeof SNAPSHOTS)[number] | undefined;
  readonly noCache: boolean;
}

const PULL = { path: 129, skipsUnreadable: 130, snapshot: 1, noCache: 2 } as const;

export function encodePull(message: PullMessage): Uint8Array {
  return new FieldWriter()
    .bytes(PULL.path, message.path)
    .flag(PULL.skipsUnreadable, message.skipsUnreadable)
    .bytes(PULL.snapshot, wordBytes(message.snapshot))
    .flag(PULL.noCache, message.noCache)
    .finish();
}

/** @throws FormatError */
export function decodePull(content: Uint8Array): PullMessage {
  const fields = new Fields('PULL', content, Object.values(PULL));
  return {
    path: pathOf(fields, PULL.path),
    skipsUnreadable: fields.has(PULL.skipsUnreadable),
    snapshot: wordOf(fields, PULL.snapshot, SNAPSHOTS),
    noCache: fields.has(PULL.noCache),
  };
}

function wordBytes(word: string | undefined): Uint8Array | undefined {
  return word === undefined ? undefined : asciiBytes(word);
}

function wordOf<Word extends string>(
  fields: Fields,
  field: number,
  words: readonly Word[],
): Word | undefined {
  const bytes = fields.bytes(field);
  if (bytes === undefined) return undefined;
  const word = words.find((name) => name === String.fromCharCode(...bytes.subarray(0, 64)));
  if (word === undefined) throw fields.wrong(0, `field ${field} has a word that is not known`);
  return word;
}

function pathOf(fields: Fields, field: number): Uint8Array {
  const path = fields.bytes(field);
  if (path === undefined || path.length === 0 || path.includes(0)) {
    throw fields.wrong(0, 'a path is needed');
  }
  return path;
}

function positive(fields: Fields, field: number): number | undefined {
  const value = fields.number(field);
  if (value === 0) throw fields.wrong(0, `field ${field} is at least 1`);
  return value;
}
