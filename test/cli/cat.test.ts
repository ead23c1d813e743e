/** `cat`: a part of a blob, or a file of an archive, and nothing else (spec/command-line.md). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeIndex } from '../../formats/index-codec.ts';
import { cat } from '../../lib/api/cat.node.ts';
import { noise } from '../helpers/golden.ts';
import { startHeldServer } from '../helpers/held-server.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, describeRun, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;

async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

async function makeBlob(t: ExecutionContext, content: Uint8Array): Promise<string> {
  const cwd = temporaryFolder(t);
  fs.writeFileSync(join(cwd, 'blob'), content);
  await succeed(runCasync(['make', 'x.caibx', 'blob'], { cwd }));
  return cwd;
}

/** Five hundred folders of two files each, about 10 MB, as archive and behind an index. */
async function makeTree(t: ExecutionContext): Promise<string> {
  const cwd = temporaryFolder(t);
  for (let i = 0; i < 500; i++) {
    fs.mkdirSync(join(cwd, `tree/folder-${i}`), { recursive: true });
    fs.writeFileSync(join(cwd, `tree/folder-${i}/file`), noise(20_000, i + 1));
    fs.writeFileSync(join(cwd, `tree/folder-${i}/empty`), '');
  }
  fs.writeFileSync(join(cwd, 'tree/large'), noise(3 * MIB, 77));
  fs.symlinkSync('../large', join(cwd, 'tree/folder-7/a link'));
  await succeed(runCasync(['make', 'x.caidx', 'tree'], { cwd }));
  await succeed(runCasync(['make', 'x.catar', 'tree'], { cwd }));
  return cwd;
}

test('any range of a blob is exactly its bytes, also at the borders of chunks', async (t) => {
  const content = noise(2 * MIB + 123);
  const cwd = await makeBlob(t, content);
  const index = decodeIndex(fs.readFileSync(join(cwd, 'x.caibx')));
  const borders = [0, 1, 2, index.count - 1].map((chunk) => index.end(chunk));
  const ranges = borders.flatMap((border) => [
    [border, 1],
    [border - 1, 1],
    [border - 1, 2],
    [border, 100_000],
    [border - 70_000, 140_000],
  ]);
  const others = [
    [0, 0],
    [0, content.length],
    [0, 10 * content.length],
    [content.length - 5, 100],
    [content.length, 1],
    [content.length + MIB, MIB],
    [12_345, 1_234_567],
  ];
  for (const input of ['x.caibx', 'blob'].map((name) => join(cwd, name))) {
    for (const [offset, length] of [...ranges, ...others]) {
      const found = await bytesOf(cat({ input, offset, length }));
      const expected = content.subarray(offset, offset + length);
      t.true(found.equals(expected), `${input} ${offset}+${length}`);
    }
    t.true((await bytesOf(cat({ input, offset: MIB }))).equals(content.subarray(MIB)));
  }
  const fromBytes = await bytesOf(cat({ input: content, offset: 7, length: 9 }));
  t.true(fromBytes.equals(content.subarray(7, 16)));
});

test('the command prints what dd cuts out, in the units of sizes', async (t) => {
  const content = noise(MIB);
  const cwd = await makeBlob(t, content);
  for (const [args, start, end] of [
    [['cat', 'x.caibx'], 0, MIB],
    [['cat', '--offset=0', '--length=0', 'x.caibx'], 0, 0],
    [['cat', '--offset=64K', 'x.caibx', '--length=1.5K'], 65_536, 67_072],
    [['cat', '--offset=1000', 'blob'], 1000, MIB],
    [['cat', '--what=blob-index', '--length', '10', 'x.caibx'], 0, 10],
  ] as const) {
    const result = await runCasync(args, { cwd });
    t.is(result.status, 0, describeRun(result));
    t.is(result.stderr.toString(), '');
    t.true(result.stdout.equals(content.subarray(start, end)), args.join(' '));
  }
});

test('a file of an archive is what is extracted of it, made by either program', async (t) => {
  const cwd = await makeTree(t);
  if (requirement(t, { commands: ['casync'] })) {
    await succeed(runReference(['make', 'ref.caidx', 'tree', '--store=ref.castr'], { cwd }));
    const [input, store] = ['ref.caidx', 'ref.castr'].map((name) => join(cwd, name));
    const found = await bytesOf(cat({ input, store, subtree: 'large', offset: 5, length: MIB }));
    t.true(found.equals(noise(3 * MIB, 77).subarray(5, MIB + 5)));
  }
  for (const input of ['x.caidx', 'x.catar']) {
    for (const path of ['folder-3/file', '/folder-499//file', 'folder-9/empty']) {
      const result = await runCasync(['cat', input, path], { cwd });
      t.is(result.status, 0, describeRun(result));
      t.true(result.stdout.equals(fs.readFileSync(join(cwd, 'tree', path))), path);
    }
    const options = { input: join(cwd, input), subtree: 'large', offset: 2 * MIB, length: 5 * MIB };
    t.true((await bytesOf(cat(options))).equals(noise(3 * MIB, 77).subarray(2 * MIB)));
  }
});

test('what is no file is said to be what it is', async (t) => {
  const cwd = await makeTree(t);
  for (const [args, message, status] of [
    [['x.caidx', 'folder-1'], './folder-1: Is no file but a directory.', 1],
    [['x.catar', '/'], './: Is no file but a directory.', 1],
    [
      ['x.caidx', 'folder-7/a link'],
      './folder-7/a\\040link: Is a symbolic link to ../large; links are not followed.',
      1,
    ],
    [['x.caidx', 'folder-1/nothing'], 'Seek path not available in archive.', 1],
    [['x.caidx'], 'The path of a file in the archive expected.', 1],
    [['x.catar'], 'The path of a file in the archive expected.', 1],
    [
      ['--what=blob', 'x.catar', 'x'],
      'A path is only supported in an archive or archive index.',
      1,
    ],
    [['tree'], 'Input is a directory. Refusing.', 1],
    [[], 'Input path/URL expected.', 1],
    [['a', 'b', 'c'], 'Input path/URL and subtree path expected.', 1],
    [['none.caidx', 'x'], 'Failed to open "none.caidx": No such file or directory', 10],
    [['none'], 'Failed to open "none": No such file or directory', 1],
    [['--offset=x', 'x.catar'], 'Failed to parse --offset= parameter: x', 1],
    [['--length=-1', 'x.catar'], 'Failed to parse --length= parameter: -1', 1],
    [
      ['--what=directory', 'tree'],
      '"cat" operation may only be combined with --what=archive, archive-index, blob or blob-index.',
      1,
    ],
  ] as const) {
    const result = await runCasync(['cat', ...args], { cwd });
    t.is(result.stdout.length, 0);
    t.is(result.stderr.toString(), `${message}\n`, args.join(' '));
    t.is(result.status, status, message);
  }
  const piped = await runCasync(['cat', '-'], { cwd, stdin: noise(10) });
  t.is(piped.stderr.toString(), 'Seekable archive required.\n');
});

test('only the chunks of the range are fetched, and those on the way to the file', async (t) => {
  const cwd = await makeTree(t);
  const server = await startHeldServer(t, cwd);
  const chunksOf = async (options: Parameters<typeof cat>[0]): Promise<number> => {
    const before = server.requests.length;
    await bytesOf(cat(options));
    const fetched = server.requests.slice(before).filter((request) => request.includes('.cacnk'));
    t.is(new Set(fetched).size, fetched.length, 'no chunk twice');
    return fetched.length;
  };
  const input = `${server.url}/x.caidx`;
  const index = decodeIndex(fs.readFileSync(join(cwd, 'x.caidx')));
  t.true(index.count > 100, `${index.count} chunks in all`);
  const small = await chunksOf({ input, subtree: 'folder-250/file' });
  t.true(small <= 8, `${small} chunks for a small file`);
  const part = await chunksOf({ input, subtree: 'large', offset: MIB, length: 100 });
  t.true(part <= 8, `${part} chunks for a part of a large file`);
  const bytes = { input, kind: 'blob-index' } as const;
  t.is(await chunksOf({ ...bytes, offset: index.start(5), length: index.size(5) }), 1);
  t.is(await chunksOf({ ...bytes, offset: index.start(5) - 1, length: index.size(5) + 2 }), 3);
  t.is(
    await chunksOf({
      ...bytes,
      offset: index.start(20),
      length: index.start(60) - index.start(20),
    }),
    40,
  );
  t.is(await chunksOf({ ...bytes, offset: index.totalSize, length: 5 }), 0);
});

test('a plain archive elsewhere is read in parts', async (t) => {
  const cwd = await makeTree(t);
  const server = await startHeldServer(t, cwd);
  const found = await bytesOf(cat({ input: `${server.url}/x.catar`, subtree: 'folder-77/file' }));
  t.true(found.equals(noise(20_000, 78)));
  t.true(server.requests.length <= 8, server.requests.join('\n'));
});

test('a missing chunk is named, and what came before it is right', async (t) => {
  const content = noise(6 * MIB);
  const cwd = await makeBlob(t, content);
  const index = decodeIndex(fs.readFileSync(join(cwd, 'x.caibx')));
  const id = index.id(index.chunkAt(5 * MIB));
  fs.rmSync(join(cwd, 'default.castr', id.slice(0, 4), `${id}.cacnk`));
  const result = await runCasync(['cat', 'x.caibx'], { cwd });
  t.is(result.status, 12, describeRun(result));
  t.regex(
    result.stderr.toString(),
    new RegExp(`^Failed to run synchronizer: .*chunk ${id}: .*\n$`),
  );
  t.true(result.stdout.length >= 4 * MIB && result.stdout.length <= 5 * MIB);
  t.true(result.stdout.equals(content.subarray(0, result.stdout.length)));
  const rest = await runCasync(['cat', `--offset=${6 * MIB - 10}`, 'x.caibx'], { cwd });
  t.true(rest.stdout.equals(content.subarray(-10)));
});

test('a reader that leaves ends the run quietly, one that waits does not keep it', async (t) => {
  const cwd = await makeBlob(t, noise(4 * MIB));
  for (const action of ['leave', 'SIGTERM'] as const) {
    const child = spawn(process.execPath, [CASYNC, 'cat', 'x.caibx'], { cwd });
    const stderr = bytesOf(child.stderr);
    await once(child.stdout, 'readable');
    if (action === 'leave') child.stdout.destroy();
    else child.kill(action);
    const [status] = await once(child, 'exit');
    t.is(status, action === 'leave' ? 0 : 130);
    t.is((await stderr).toString(), action === 'leave' ? '' : 'Got exit signal, quitting.\n');
  }
});

test('progress and statistics are told, and memory does not grow with the blob', async (t) => {
  const cwd = temporaryFolder(t);
  const size = 600 * MIB;
  fs.writeFileSync(join(cwd, 'blob'), '');
  fs.truncateSync(join(cwd, 'blob'), size);
  await succeed(runCasync(['make', 'x.caibx', 'blob'], { cwd }));
  const args = ['--progress=json', '--stats=json', 'x.caibx'];
  const command = `exec "$0" "$@" >/dev/null`;
  const wrapper = ['sh', '-c', command];
  const result = await runCasync(['cat', ...args], { cwd, wrapper });
  t.is(result.status, 0, describeRun(result));
  const lines = result.stderr.toString().trim().split('\n');
  const [progress, statistics] = lines.slice(-2).map((line) => JSON.parse(line));
  t.like(progress, { event: 'progress', phase: 'cat', doneBytes: size, totalBytes: size });
  t.like(statistics, { verb: 'cat', byteCount: size });
  t.true(statistics.peakMemoryBytes < 250 * MIB, `${statistics.peakMemoryBytes}`);
});
