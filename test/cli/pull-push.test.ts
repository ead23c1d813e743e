/** `pull` and `push` as processes: their words, their status, and that nothing but the protocol comes out. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { GOLDEN, golden } from '../helpers/golden.ts';
import { CASYNC, runCasync } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const STORE = join(GOLDEN, 'stores/zstd-sha512-256.castr');
const HELLO_SIZE = 24;

const REFUSALS: readonly (readonly [readonly string[], string])[] = [
  [['pull'], 'Expected at least 5 arguments.'],
  [['pull', '-', '-', '-'], 'Expected at least 5 arguments.'],
  [['pull', 'base', '-', '-', STORE], 'Pull from base or archive not yet supported.'],
  [['push', 'base', '-', '-', STORE], 'Push to base not yet supported.'],
  [['pull', '-', '-', '-', '-'], 'Nothing to do.'],
  [['push', '', '', '', ''], 'Nothing to do.'],
];

test('words that nobody can use are refused', async (t) => {
  for (const [words, reason] of REFUSALS) {
    const { status, stdout, stderr } = await runCasync(words);
    t.deepEqual([status, stdout.length, stderr.toString()], [1, 0, `${reason}\n`]);
  }
});

test('recorded sessions of the original get the answers of the original', async (t) => {
  for (const name of ['pull-index', 'pull-chunks', 'pull-archive', 'pull-missing']) {
    const index = name === 'pull-index' ? join(GOLDEN, 'blob-index/text-default.caibx') : '-';
    const archive = name === 'pull-archive' ? join(GOLDEN, 'mini/many.catar') : '-';
    const store = name === 'pull-missing' ? temporaryFolder(t) : STORE;
    const stores = name === 'pull-archive' ? '-' : store;
    const stdin = golden(`protocol/${name}.c2s`);
    const result = await runCasync(['pull', '-', archive, index, stores], { stdin });
    t.deepEqual([result.status, result.stderr.toString()], [0, ''], name);
    t.deepEqual(messages(result.stdout), messages(golden(`protocol/${name}.s2c`)), name);
  }
});

/** The messages of a session, sorted: answers may come in any order. */
function messages(bytes: Uint8Array): readonly string[] {
  const found: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let offset = 0; offset < bytes.length; ) {
    const size = Number(view.getBigUint64(offset, true));
    found.push(Buffer.from(bytes.subarray(offset, offset + size)).toString('hex'));
    offset += size;
  }
  return found.toSorted();
}

interface Ending {
  readonly status: number | null;
  readonly output: string;
}

/** Waits for the hello, ends the process by `stop`, and tells what it leaves. */
async function endingOf(
  words: readonly string[],
  stop: (child: ChildProcess) => void,
): Promise<Ending> {
  const child = spawn(process.execPath, [CASYNC, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  child.stderr.on('data', (piece: Buffer) => {
    output += piece.toString();
  });
  let length = 0;
  while (length < HELLO_SIZE) {
    const [piece] = (await once(child.stdout, 'data')) as [Buffer];
    length += piece.length;
  }
  stop(child);
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, output };
}

test('pull ends well at the end of its input, with SIGTERM, and when nobody listens', async (t) => {
  const stops: readonly ((child: ChildProcess) => void)[] = [
    (child) => child.stdin?.end(),
    (child) => child.kill('SIGTERM'),
    (child) => {
      child.stdout?.destroy();
      child.stdin?.end(golden('protocol/pull-chunks.c2s'));
    },
  ];
  for (const stop of stops) {
    const ending = await endingOf(['pull', '-', '-', '-', STORE], stop);
    t.deepEqual(ending, { status: 0, output: '' });
  }
});

test('push fails if it ends before everything is there', async (t) => {
  const folder = temporaryFolder(t);
  const words = ['push', '-', '-', join(folder, 'x.caibx'), join(folder, 'x.castr')];
  const ended = await endingOf(words, (child) => child.stdin?.end());
  t.is(ended.status, 16);
  t.regex(ended.output, /^Failed to process remote: the sender: ended before/);
  const stopped = await endingOf(words, (child) => child.kill('SIGTERM'));
  t.is(stopped.status, 130);
});

test('a file in place of a pipe is refused', async (t) => {
  const result = await runCasync(['pull', '-', '-', '-', STORE], {
    wrapper: ['sh', '-c', `exec "$@" </dev/null`, 'sh'],
  });
  t.is(result.status, 1);
  t.regex(result.stderr.toString(), /standard input: must be a pipe or a socket/);
});
