/**
 * What one side of a session asks the other to do with a tree, and whether there is one. Implements
 * spec/formats/tree-session.md, "Opening".
 */
import { Fields, FieldWriter } from './session-fields.ts';

/** The near side has a tree for a folder there. */
export interface PushTree {
  /** UTF-8. */
  readonly path: Uint8Array;
  readonly keepsExtra: boolean;
  readonly undoesImmutable: boolean;
  readonly isDryRun: boolean;
  readonly checks: boolean;
  readonly keepsZeros: boolean;
  readonly avoidsReflinks: boolean;
  readonly avoidsSync: boolean;
}

/** Whoever does not know one of those from 129 on would do something else than was meant. */
const PUSH = {
  path: 129,
  keepsExtra: 130,
  undoesImmutable: 131,
  isDryRun: 132,
  checks: 133,
  keepsZeros: 1,
  avoidsReflinks: 2,
  avoidsSync: 3,
} as const;

export function encodePushTree(message: PushTree): Uint8Array {
  return new FieldWriter()
    .bytes(PUSH.path, message.path)
    .flag(PUSH.keepsExtra, message.keepsExtra)
    .flag(PUSH.undoesImmutable, message.undoesImmutable)
    .flag(PUSH.isDryRun, message.isDryRun)
    .flag(PUSH.checks, message.checks)
    .flag(PUSH.keepsZeros, message.keepsZeros)
    .flag(PUSH.avoidsReflinks, message.avoidsReflinks)
    .flag(PUSH.avoidsSync, message.avoidsSync)
    .finish();
}

/** @throws FormatError */
export function decodePushTree(content: Uint8Array): PushTree {
  const fields = new Fields('PUSH_TREE', content, Object.values(PUSH));
  return {
    path: pathOf(fields, PUSH.path),
    keepsExtra: fields.has(PUSH.keepsExtra),
    undoesImmutable: fields.has(PUSH.undoesImmutable),
    isDryRun: fields.has(PUSH.isDryRun),
    checks: fields.has(PUSH.checks),
    keepsZeros: fields.has(PUSH.keepsZeros),
    avoidsReflinks: fields.has(PUSH.avoidsReflinks),
    avoidsSync: fields.has(PUSH.avoidsSync),
  };
}

/** The near side wants a tree that is there. */
export interface PullTree {
  /** UTF-8. */
  readonly path: Uint8Array;
  /** What is to be recorded, 8 bytes. */
  readonly featureFlags: Uint8Array;
}

const PULL = { path: 129, featureFlags: 130 } as const;

export function encodePullTree({ path, featureFlags }: PullTree): Uint8Array {
  return new FieldWriter().bytes(PULL.path, path).bytes(PULL.featureFlags, featureFlags).finish();
}

/** @throws FormatError */
export function decodePullTree(content: Uint8Array): PullTree {
  const fields = new Fields('PULL_TREE', content, Object.values(PULL));
  const featureFlags = fields.bytesOf(PULL.featureFlags, 8);
  return { path: pathOf(fields, PULL.path), featureFlags };
}

const LOOK = { path: 129 } as const;

/** Asks what is at a path. */
export function encodeLook(path: Uint8Array): Uint8Array {
  return new FieldWriter().bytes(LOOK.path, path).finish();
}

/** @throws FormatError */
export function decodeLook(content: Uint8Array): Uint8Array {
  return pathOf(new Fields('LOOK', content, Object.values(LOOK)), LOOK.path);
}

export type Found = 'nothing' | 'directory' | 'other';

const FOUND = { directory: 1, other: 2 } as const;

export function encodeFound(found: Found): Uint8Array {
  return new FieldWriter()
    .flag(FOUND.directory, found === 'directory')
    .flag(FOUND.other, found === 'other')
    .finish();
}

/** @throws FormatError */
export function decodeFound(content: Uint8Array): Found {
  const fields = new Fields('FOUND', content, Object.values(FOUND));
  if (fields.has(FOUND.directory)) return 'directory';
  return fields.has(FOUND.other) ? 'other' : 'nothing';
}

function pathOf(fields: Fields, field: number): Uint8Array {
  const path = fields.bytes(field);
  if (path === undefined || path.length === 0 || path.includes(0)) {
    throw fields.wrong(0, 'a path is needed');
  }
  return path;
}
