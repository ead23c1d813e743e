import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asciiBytes } from '../../../../formats/bytes.ts';
import { isCasError } from '../../../../formats/errors.ts';
import { encodeRuns, TREE_KIND } from '../../../../formats/tree-session.ts';
import type { SessionMessage } from '../../../../lib/images/session/connection.ts';
import type { TreeConnection } from '../../../../lib/images/trees/messages.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { syncTrees } from '../../../helpers/tree-session.ts';
import { compareTrees } from '../../../helpers/tree-snapshot.ts';

type Alter = (message: SessionMessage, number: number) => SessionMessage;

/** An end that gets something else than what was sent. */
function altered(alter: Alter): (connection: TreeConnection) => TreeConnection {
  let number = 0;
  return (connection) => ({
    label: connection.label,
    send: (kind, content) => connection.send(kind, content),
    receive: async () => {
      const message = await connection.receive();
      return message && alter(message, number++);
    },
  });
}

interface Folders {
  readonly folder: string;
  readonly source: string;
  readonly target: string;
}

/** Two trees between which everything is to be done. */
function folders(t: ExecutionContext): Folders {
  const folder = temporaryFolder(t);
  const [source, target] = [join(folder, 'source'), join(folder, 'target')];
  for (const root of [source, target]) {
    mkdirSync(join(root, 'inner'), { recursive: true });
    writeFileSync(join(root, 'inner/same-size'), randomBytes(500));
    writeFileSync(join(root, 'pieces'), Buffer.alloc(20_000, root === source ? 'new' : 'old'));
    const time = root === source ? 1000 : 2000;
    for (const name of ['inner/same-size', 'pieces']) utimesSync(join(root, name), time, time);
  }
  const content = randomBytes(700);
  writeFileSync(join(source, 'moved'), content);
  writeFileSync(join(target, 'inner/before'), content);
  writeFileSync(join(source, 'twice'), 'a content that is wanted twice');
  writeFileSync(join(source, 'again'), 'a content that is wanted twice');
  writeFileSync(join(folder, 'outside'), 'outside');
  return { folder, source, target };
}

/** How many messages the receiving side gets. */
async function messageCount(t: ExecutionContext): Promise<number> {
  const { source, target } = folders(t);
  let count = 0;
  const count1: Alter = (message) => {
    count++;
    return message;
  };
  await syncTrees(source, target, { receiver: altered(count1) });
  return count;
}

/** Runs and tells whether it has ended as it should: refused, or with the right tree. */
async function isRefusedOrRight(t: ExecutionContext, alter: Alter): Promise<boolean> {
  const { folder, source, target } = folders(t);
  let isIncomplete = false;
  const onIncomplete = (): void => {
    isIncomplete = true;
  };
  try {
    await syncTrees(source, target, { receiver: altered(alter), onIncomplete });
  } catch (error) {
    if (!isCasError(error)) throw error;
    isIncomplete = true;
  }
  const isOutsideWell = readFileSync(join(folder, 'outside'), 'latin1') === 'outside';
  const differences = compareTrees(source, target);
  if (!isIncomplete && differences.length > 0) t.log(differences.join('\n'));
  return isOutsideWell && (isIncomplete || differences.length === 0);
}

/** Only whether more follows stays as it is: who says so and is silent is waited for. */
function flipped({ kind, content }: SessionMessage, random: number): SessionMessage {
  const first = kind === TREE_KIND.root ? 0 : 8;
  const bytes = content.slice();
  const bit = first + (random % Math.max(1, 8 * bytes.length - first));
  if (bit < 8 * bytes.length) bytes[bit >>> 3] ^= 1 << (bit & 7);
  return { kind, content: bytes };
}

test('no flipped bit and no missing end is taken for the truth', async (t) => {
  const count = await messageCount(t);
  t.true(count >= 5);
  for (let number = 0; number < count; number++) {
    for (let i = 0; i < 24; i++) {
      const at = randomBytes(4).readUInt32LE();
      const flip: Alter = (message, n) => (n === number ? flipped(message, at) : message);
      const short: Alter = (message, n) =>
        n === number
          ? { ...message, content: message.content.slice(0, at % (message.content.length + 1)) }
          : message;
      t.true(await isRefusedOrRight(t, i % 3 === 0 ? short : flip), `message ${number}, ${at}`);
    }
  }
});

test('names that lead elsewhere are refused', async (t) => {
  for (const evil of ['..', '.', 'a/b', '/x', '']) {
    const { folder, source, target } = folders(t);
    const marker = 'x'.repeat(Math.max(1, evil.length));
    mkdirSync(join(source, marker));
    writeFileSync(join(source, marker, 'planted'), 'planted');
    const replace: Alter = ({ kind, content }) => {
      const bytes = Buffer.from(content);
      const pattern = Buffer.concat([Buffer.of(marker.length), asciiBytes(marker)]);
      for (let at = bytes.indexOf(pattern); at >= 0; at = bytes.indexOf(pattern, at + 1)) {
        if (evil.length === marker.length) bytes.set(asciiBytes(evil), at + 1);
        else bytes[at] = 0;
      }
      return { kind, content: bytes };
    };
    await t.throwsAsync(syncTrees(source, target, { receiver: altered(replace) }), undefined, evil);
    t.false(existsSync(join(folder, 'planted')));
  }
});

test('who asks for what there is not is refused', async (t) => {
  const questions: SessionMessage[] = [
    { kind: TREE_KIND.wantHashes, content: encodeRuns([{ first: 2, count: 1 }]) },
    { kind: TREE_KIND.wantRecords, content: encodeRuns([{ first: 0, count: 1000 }]) },
    { kind: TREE_KIND.wantDigests, content: encodeRuns([{ first: 0, count: 1 }]) },
    { kind: TREE_KIND.wantContent, content: Uint8Array.of(100, 0) },
    { kind: TREE_KIND.wantContent, content: Uint8Array.of(0, 3) },
    { kind: TREE_KIND.root, content: new Uint8Array(0) },
    { kind: TREE_KIND.done, content: new Uint8Array(33) },
    { kind: 99, content: new Uint8Array(0) },
  ];
  for (const question of questions) {
    const { source, target } = folders(t);
    renameSync(join(source, 'again'), join(source, 'inner/again'));
    const ask: Alter = (message, n) => (n === 0 ? question : message);
    await t.throwsAsync(syncTrees(source, target, { sender: altered(ask) }));
  }
});
