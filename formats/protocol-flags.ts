/**
 * What the sides of the casync protocol say of themselves in their hellos, and which messages they may
 * send after it. One table, for both sides. Rules: spec/formats/remote-protocol.md, "Hello".
 */
import { FormatError } from './errors.ts';

/** Services that a side offers and operations that it wants to do. */
export const PROTOCOL_FLAG = {
  READABLE_STORE: 0x1,
  WRITABLE_STORE: 0x2,
  READABLE_INDEX: 0x4,
  WRITABLE_INDEX: 0x8,
  READABLE_ARCHIVE: 0x10,
  WRITABLE_ARCHIVE: 0x20,
  PULL_CHUNKS: 0x40,
  PULL_INDEX: 0x80,
  PULL_ARCHIVE: 0x100,
  PUSH_CHUNKS: 0x200,
  PUSH_INDEX: 0x400,
  PUSH_INDEX_CHUNKS: 0x800,
  PUSH_ARCHIVE: 0x1000,
} as const;

const KNOWN_FLAGS = 0x1fff;

export type MessageKind =
  | 'hello'
  | 'index'
  | 'index-eof'
  | 'archive'
  | 'archive-eof'
  | 'request'
  | 'chunk'
  | 'missing'
  | 'goodbye'
  | 'abort';

interface Operation {
  readonly flag: number;
  /** What the other side must offer for it, and in words. */
  readonly service: number;
  readonly words: string;
  /** What the side that wants the operation may send. */
  readonly sent: readonly MessageKind[];
  /** What the side that offers the service may send. */
  readonly answered: readonly MessageKind[];
}

const F = PROTOCOL_FLAG;

const OPERATIONS: readonly Operation[] = [
  {
    flag: F.PULL_CHUNKS,
    service: F.READABLE_STORE,
    words: 'chunks to be read',
    sent: ['request'],
    answered: ['chunk', 'missing'],
  },
  {
    flag: F.PULL_INDEX,
    service: F.READABLE_INDEX,
    words: 'an index to be read',
    sent: [],
    answered: ['index', 'index-eof'],
  },
  {
    flag: F.PULL_ARCHIVE,
    service: F.READABLE_ARCHIVE,
    words: 'an archive to be read',
    sent: [],
    answered: ['archive', 'archive-eof'],
  },
  {
    flag: F.PUSH_CHUNKS,
    service: F.WRITABLE_STORE,
    words: 'chunks to be stored',
    sent: ['chunk', 'missing'],
    answered: ['request'],
  },
  {
    flag: F.PUSH_INDEX,
    service: F.WRITABLE_INDEX,
    words: 'an index to be stored',
    sent: ['index', 'index-eof'],
    answered: [],
  },
  {
    flag: F.PUSH_INDEX_CHUNKS,
    service: F.WRITABLE_INDEX | F.WRITABLE_STORE,
    words: 'an index and its chunks to be stored',
    sent: [],
    answered: [],
  },
  {
    flag: F.PUSH_ARCHIVE,
    service: F.WRITABLE_ARCHIVE,
    words: 'an archive to be stored',
    sent: ['archive', 'archive-eof'],
    answered: [],
  },
];

/** What either side may send at any time. */
const ALWAYS: readonly MessageKind[] = ['goodbye', 'abort'];

/** What both sides may say after their hellos. */
export interface Agreement {
  /** Flags of this side and of the other one. */
  readonly ours: number;
  readonly theirs: number;
  readonly weMaySend: ReadonlySet<MessageKind>;
  readonly theyMaySend: ReadonlySet<MessageKind>;
}

function refused(expectation: string): FormatError {
  return new FormatError('casync protocol', 'HELLO', 0, expectation);
}

/**
 * Checks the flags of one hello, as far as they can be checked alone.
 * @throws FormatError
 */
export function checkHelloFlags(flags: bigint): number {
  if (flags === 0n) throw refused('no flag is set');
  if ((flags & ~BigInt(KNOWN_FLAGS)) !== 0n) {
    throw refused(`the protocol of the other side is not known here: flags ${flags.toString(16)}`);
  }
  const known = Number(flags);
  const pushesBoth = F.PUSH_INDEX | F.PUSH_CHUNKS;
  if ((known & F.PUSH_INDEX_CHUNKS) !== 0 && (known & pushesBoth) !== pushesBoth) {
    throw refused('chunks of an index are pushed only with index and chunks');
  }
  return known;
}

/**
 * What follows from both hellos.
 * @param ours the flags that this side has sent
 * @param theirs those of the other side, checked by {@link checkHelloFlags}
 * @throws FormatError if one side wants what the other does not offer, or nobody wants anything
 */
export function agree(ours: number, theirs: number): Agreement {
  const weMaySend = new Set(ALWAYS);
  const theyMaySend = new Set(ALWAYS);
  for (const operation of OPERATIONS) {
    const { sent, answered } = operation;
    if (isPossible(operation, ours, theirs, 'this side')) {
      for (const kind of sent) weMaySend.add(kind);
      for (const kind of answered) theyMaySend.add(kind);
    }
    if (isPossible(operation, theirs, ours, 'the other side')) {
      for (const kind of sent) theyMaySend.add(kind);
      for (const kind of answered) weMaySend.add(kind);
    }
  }
  if (OPERATIONS.every(({ flag }) => ((ours | theirs) & flag) === 0)) {
    throw refused('neither side wants anything');
  }
  return { ours, theirs, weMaySend, theyMaySend };
}

/** @param who wants, in words */
function isPossible(
  { flag, service, words }: Operation,
  wanting: number,
  offering: number,
  who: string,
): boolean {
  if ((wanting & flag) === 0) return false;
  if ((offering & service) === service) return true;
  throw refused(`${who} wants ${words}, which is not offered`);
}
