/** A writable export that is killed while qemu-io writes to it: what was flushed is there afterwards. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeIndex } from '../../formats/index-codec.ts';
import { openBytesBlob } from '../../lib/read/bytes-blob.ts';
import { indexIdentity } from '../../lib/read/index-identity.node.ts';
import { openOverlay } from '../../lib/serve/nbd/overlay.node.ts';
import { loopMount, loopMountNeeds } from '../helpers/loop-mount.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const BLOCK_LENGTH = 4096;
const BLOCK_COUNT = 256;
const SIZE = BLOCK_COUNT * BLOCK_LENGTH;
/** Only these are written to, again and again. */
const WRITTEN_BLOCKS = 60;
const CHANGES = 4000;
const COMMANDS = ['qemu-io', 'setpriv'];

interface Place {
  readonly index: string;
  readonly content: Buffer;
  readonly cow: string;
  readonly socket: string;
}

async function makePlace(t: ExecutionContext, cowFolder?: string): Promise<Place> {
  const folder = temporaryFolder(t);
  const content = Buffer.from(Uint8Array.from({ length: SIZE }, (_, i) => 251 + ((i >> 12) % 5)));
  const [raw, index] = [join(folder, 'image.raw'), join(folder, 'image.caibx')];
  writeFileSync(raw, content);
  await succeed(runCasync(['make', '--chunk-size=16K', index, raw]));
  const cow = join(cowFolder ?? folder, 'changes.cow');
  return { index, content, cow, socket: join(folder, 'socket') };
}

async function startServer(t: ExecutionContext, place: Place): Promise<ChildProcess> {
  const words = ['serve-nbd', place.index, `--socket=${place.socket}`, `--cow=${place.cow}`];
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', '--', process.execPath, CASYNC, ...words],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  t.teardown(() => void child.kill('SIGKILL'));
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  if (child.exitCode !== null) throw new Error(`server ended with ${child.exitCode}`);
  return child;
}

const uriOf = ({ socket }: Place): string => `nbd+unix:///?socket=${socket}`;

interface Change {
  readonly first: number;
  readonly count: number;
  /** Every byte of it afterwards. */
  readonly pattern: number;
}

/** The bytes that each block may consist of, the oldest first. */
type History = Map<number, readonly number[]>;

/** One change and its command, or undefined for a flush. */
function randomCommand(): { readonly command: string; readonly change?: Change } {
  if (randomInt(6) === 0) return { command: 'flush' };
  const first = randomInt(WRITTEN_BLOCKS);
  const count = 1 + randomInt(Math.min(4, WRITTEN_BLOCKS - first));
  const range = `${first * BLOCK_LENGTH} ${count * BLOCK_LENGTH}`;
  if (randomInt(4) === 0) {
    const flags = randomInt(2) === 0 ? '-z -u' : '-z';
    return { command: `write ${flags} ${range}`, change: { first, count, pattern: 0 } };
  }
  const pattern = 1 + randomInt(249);
  return { command: `write -P ${pattern} ${range}`, change: { first, count, pattern } };
}

/** Writes until the server is killed. Changes the history by what was sent and what was promised. */
async function writeUntilKilled(
  server: ChildProcess,
  place: Place,
  history: History,
  longestMs: number,
): Promise<{ readonly changeCount: number; readonly flushCount: number }> {
  const commands = Array.from({ length: CHANGES }, randomCommand);
  const client = spawn('qemu-io', ['-f', 'raw', uriOf(place)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let output = '';
  const ended = Promise.all([once(server, 'exit'), once(client, 'close')]);
  const started = once(client.stdout, 'data');
  client.stdout.setEncoding('latin1').on('data', (text: string) => {
    output += text;
  });
  client.stdin.on('error', () => {});
  client.stdin.end(`${commands.map(({ command }) => command).join('\n')}\nquit\n`);
  await started;
  await new Promise((resolve) => setTimeout(resolve, randomInt(longestMs)));
  server.kill('SIGKILL');
  await ended;
  const successCount = [...output.matchAll(/^(?:qemu-io> )*wrote (\d+)\/\1 bytes/gm)].length;
  let changeCount = 0;
  let flushCount = 0;
  for (const { change } of commands) {
    if (change === undefined) {
      // A flush is known to have ended when something behind it has.
      if (changeCount >= successCount) continue;
      flushCount++;
      for (const [block, patterns] of history) history.set(block, patterns.slice(-1));
      continue;
    }
    for (let block = change.first; block < change.first + change.count; block++) {
      history.set(block, [...(history.get(block) ?? [251 + (block % 5)]), change.pattern]);
    }
    // The one behind the last that succeeded may have been done, too.
    if (++changeCount > successCount) break;
  }
  return { changeCount: successCount, flushCount };
}

async function readOverlay(place: Place, cow: string): Promise<Buffer> {
  const identity = indexIdentity(decodeIndex(readFileSync(place.index)));
  const overlay = await openOverlay(openBytesBlob(place.content, 'image'), cow, { identity });
  try {
    const { pieces } = await overlay.read({ offset: 0, length: SIZE });
    return Buffer.concat(pieces);
  } finally {
    await overlay.close();
  }
}

/** @returns what is wrong; the byte that each block consists of goes to `found` */
function complaintsAbout(
  content: Buffer,
  history: History,
  found: Map<number, number>,
): readonly string[] {
  return Array.from({ length: BLOCK_COUNT }, (_, block) => {
    const bytes = content.subarray(block * BLOCK_LENGTH, (block + 1) * BLOCK_LENGTH);
    const allowed = history.get(block) ?? [251 + (block % 5)];
    found.set(block, bytes[0]);
    if (!bytes.every((byte) => byte === bytes[0])) return `block ${block}: mixture`;
    return allowed.includes(bytes[0]) ? '' : `block ${block}: ${bytes[0]}, not one of ${allowed}`;
  }).filter((complaint) => complaint !== '');
}

test.serial(
  'after kill -9 at thirty points, everything flushed is there, nothing else is',
  async (t) => {
    if (!requirement(t, { commands: [...COMMANDS, 'qemu-img', 'nbdcopy'] })) return;
    const place = await makePlace(t);
    const history: History = new Map();
    const sums = { changes: 0, flushes: 0 };
    for (let i = 0; i < 30; i++) {
      const server = await startServer(t, place);
      const { changeCount, flushCount } = await writeUntilKilled(server, place, history, 600);
      sums.changes += changeCount;
      sums.flushes += flushCount;
      const found = new Map<number, number>();
      const content = await readOverlay(place, place.cow);
      t.deepEqual(complaintsAbout(content, history, found), [], `kill ${i}`);
      for (const [block, byte] of found) history.set(block, [byte]);
    }
    t.log(`${sums.changes} changes, ${sums.flushes} flushes`);
    t.true(sums.changes > 300 && sums.flushes > 60);
    const server = await startServer(t, place);
    const expected = join(dirname(place.cow), 'expected');
    const copy = join(dirname(place.cow), 'copy');
    execFileSync('nbdcopy', [uriOf(place), copy]);
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'raw', uriOf(place), `${copy}2`]);
    server.kill('SIGTERM');
    await once(server, 'close');
    writeFileSync(expected, await readOverlay(place, place.cow));
    t.true(readFileSync(copy).equals(readFileSync(expected)));
    t.true(readFileSync(`${copy}2`).equals(readFileSync(expected)));
  },
);

for (const type of ['ext4', 'xfs'] as const) {
  test.serial(`on ${type}, everything flushed is there after a power cut`, async (t) => {
    if (!requirement(t, { ...loopMountNeeds(type), commands: COMMANDS })) return;
    const mounted = loopMount(t, type);
    const place = await makePlace(t, mounted);
    const history: History = new Map();
    let flushes = 0;
    for (let i = 0; i < 4; i++) {
      const server = await startServer(t, place);
      const { flushCount } = await writeUntilKilled(server, place, history, 600);
      // What has not reached the device below the file system is lost.
      const image = join(dirname(mounted), 'image');
      const [copy, again] = [join(dirname(mounted), 'copy'), join(dirname(mounted), `again${i}`)];
      execFileSync('cp', ['--sparse=always', image, copy]);
      mkdirSync(again);
      // The same file system is mounted twice.
      const options = type === 'xfs' ? 'loop,nouuid' : 'loop';
      execFileSync('mount', ['-o', options, copy, again]);
      try {
        const content = await readOverlay(place, join(again, 'changes.cow'));
        t.deepEqual(complaintsAbout(content, history, new Map()), [], `power cut ${i}`);
      } finally {
        spawnSync('umount', [again]);
        rmSync(copy);
      }
      flushes += flushCount;
      const found = new Map<number, number>();
      complaintsAbout(await readOverlay(place, place.cow), history, found);
      for (const [block, byte] of found) history.set(block, [byte]);
    }
    t.log(`${flushes} flushes`);
    t.true(flushes > 0);
  });
}
