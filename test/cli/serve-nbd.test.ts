/** `serve-nbd` and the programs that use such servers (spec/nbd.md, "The server"). */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { NbdClient } from '../helpers/nbd-client.ts';
import { type NbdProcess, nbdProcess, runTool } from '../helpers/nbd-process.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;
const TOOLS = ['qemu-img', 'qemu-io', 'nbdinfo', 'nbdcopy', 'setpriv'];

interface Image {
  readonly name: string;
  /** What is served. */
  readonly input: string;
  /** What it holds. */
  readonly plain: string;
}

let folder = '';
let images: readonly Image[] = [];

/** An image of `size` bytes that is holes but for `parts`. */
function makeImage(
  name: string,
  size: number,
  parts: readonly (readonly [number, number])[],
): string {
  const path = join(folder, name);
  const descriptor = openSync(path, 'w');
  ftruncateSync(descriptor, size);
  for (const [offset, length] of parts) {
    writeSync(descriptor, randomBytes(length), 0, length, offset);
  }
  closeSync(descriptor);
  return path;
}

test.before(async () => {
  folder = makeTemporaryFolder();
  const holes = makeImage('holes.raw', 24 * MIB, [
    [0, 2 * MIB],
    [9 * MIB + 777, 3 * MIB],
    [22 * MIB, 2 * MIB],
  ]);
  const odd = makeImage('odd.raw', 5 * MIB + 333, [[MIB, 4 * MIB + 333]]);
  const store = `--store=${join(folder, 'default.castr')}`;
  for (const path of [holes, odd]) {
    await succeed(runCasync(['make', store, path.replace('.raw', '.caibx'), path]));
  }
  images = [
    { name: 'an index of an image with holes', input: join(folder, 'holes.caibx'), plain: holes },
    { name: 'an index with an odd size', input: join(folder, 'odd.caibx'), plain: odd },
    { name: 'a plain file', input: holes, plain: holes },
  ];
});

test.after.always(() => removeTree(folder));

/** A server on a unix socket and on a port. */
function serveBoth(t: ExecutionContext, { input }: Image): Promise<NbdProcess> {
  const socket = join(temporaryFolder(t), 'socket');
  return nbdProcess(t, [input, `--socket=${socket}`, '--listen=127.0.0.1:0']);
}

function forEveryImage(
  title: string,
  check: (t: ExecutionContext, uri: string, image: Image, server: NbdProcess) => Promise<void>,
): void {
  for (const i of [0, 1, 2]) {
    test(`${title}: ${['holes', 'an odd size', 'a plain file'][i]}`, async (t) => {
      if (!requirement(t, { commands: TOOLS })) return;
      const server = await serveBoth(t, images[i]);
      t.is(server.addresses.length, 2);
      t.regex(server.addresses[0], /^nbd\+unix:\/\/\/\?socket=\//);
      t.regex(server.addresses[1], /^nbd:\/\/127\.0\.0\.1:\d+$/);
      for (const uri of server.addresses) await check(t, uri, images[i], server);
      server.signal('SIGTERM');
      t.is(await server.ended, 0, server.stderr());
      t.is(server.stderr(), '');
    });
  }
}

forEveryImage('qemu-img finds the same bytes', async (t, uri, { plain }) => {
  const size = readFileSync(plain).length;
  const info = await runTool('qemu-img', 'info', '--output=json', uri);
  t.is(JSON.parse(info.stdout)['virtual-size'], Math.ceil(size / 512) * 512);
  const compared = await runTool('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri, plain);
  t.is(compared.status, 0, compared.stdout + compared.stderr);
  const copy = join(temporaryFolder(t), 'copy');
  t.is((await runTool('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', uri, copy)).status, 0);
  t.true(readFileSync(copy).subarray(0, size).equals(readFileSync(plain)));
});

forEveryImage('libnbd finds the same bytes', async (t, uri, { plain, input }) => {
  const content = readFileSync(plain);
  const info = JSON.parse((await runTool('nbdinfo', '--json', uri)).stdout);
  const [described] = info.exports;
  t.is(info.protocol, 'newstyle-fixed');
  t.is(described['export-size'], content.length);
  t.deepEqual(described.contexts, ['base:allocation']);
  t.is(described.description, input);
  t.like(described, { is_read_only: true, can_multi_conn: true, block_size_minimum: 1 });
  const copy = join(temporaryFolder(t), 'copy');
  const copied = await runTool('nbdcopy', uri, copy);
  t.is(copied.status, 0, copied.stderr);
  t.true(readFileSync(copy).equals(content));
});

forEveryImage(
  'the map says zeros only where zeros are, and most of them',
  async (t, uri, { plain }) => {
    const content = readFileSync(plain);
    const mapped = await runTool('nbdinfo', '--map', '--json', uri);
    const map: { offset: number; length: number; type: number }[] = JSON.parse(mapped.stdout);
    let end = 0;
    let zeros = 0;
    for (const { offset, length, type } of map) {
      t.is(offset, end);
      end = offset + length;
      if (type === 0) continue;
      t.is(type, 3);
      zeros += length;
      t.true(content.subarray(offset, end).every((byte) => byte === 0));
    }
    t.is(end, content.length);
    const all = content.reduce((sum, byte) => sum + (byte === 0 ? 1 : 0), 0);
    // Zeros at the ends of runs share chunks with data.
    t.true(zeros > all * 0.5 || all < 2 * MIB, `${zeros} of ${all}`);
  },
);

forEveryImage('random reads find the right bytes', async (t, uri, { plain }) => {
  const content = readFileSync(plain);
  const place = placeOf(uri);
  for (const isStructured of [true, false]) {
    const client = await NbdClient.open(place, { isStructured });
    const ranges = Array.from({ length: 60 }, () => {
      const offset = Math.floor(Math.random() * content.length);
      return { offset, length: Math.min(content.length - offset, 1 + (offset % 300_000)) };
    });
    const names = ranges.map((range) => client.ask({ command: 0, ...range }));
    for (const [i, { offset, length }] of ranges.entries()) {
      const answer = await client.answer(names[i]);
      t.true(answer.data.equals(content.subarray(offset, offset + length)), `${offset} ${length}`);
    }
    client.destroy();
  }
});

function placeOf(uri: string): { readonly path: string } | { readonly port: number } {
  const socket = /socket=(.*)$/.exec(uri)?.[1];
  return socket === undefined ? { port: Number(/:(\d+)$/.exec(uri)?.[1]) } : { path: socket };
}

test('qemu-io reads what was written into the image', async (t) => {
  if (!requirement(t, { commands: TOOLS })) return;
  const path = join(temporaryFolder(t), 'pattern.raw');
  writeFileSync(
    path,
    Buffer.concat([Buffer.alloc(MIB, 0xab), Buffer.alloc(MIB), Buffer.alloc(MIB, 7)]),
  );
  const server = await nbdProcess(t, [path, '--listen=127.0.0.1:0']);
  const reads = ['read -P 0xab 4k 900k', 'read -P 0 1M 1M', 'read -P 7 2M 1M'];
  const { status, stdout, stderr } = await runTool(
    'qemu-io',
    ...['-r', '-f', 'raw', ...reads.flatMap((read) => ['-c', read]), server.addresses[0]],
  );
  t.is(status, 0, stderr);
  t.false(/verification failed/i.test(stdout + stderr));
});

test('eight clients read at once', async (t) => {
  if (!requirement(t, { commands: TOOLS })) return;
  const server = await serveBoth(t, images[0]);
  const target = temporaryFolder(t);
  const content = readFileSync(images[0].plain);
  const copies = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const copy = join(target, `${i}`);
      const { status } = await runTool('nbdcopy', server.addresses[i % 2], copy);
      return status === 0 && readFileSync(copy).equals(content);
    }),
  );
  t.deepEqual(copies, Array(8).fill(true));
});

test('a server killed at once is followed by another on its socket', async (t) => {
  if (!requirement(t, { commands: TOOLS })) return;
  const socket = join(temporaryFolder(t), 'socket');
  const words = [images[1].input, `--socket=${socket}`, '--export-name=my disk'];
  const first = await nbdProcess(t, words);
  t.deepEqual(first.addresses, [`nbd+unix:///my%20disk?socket=${socket}`]);
  const second = await t.throwsAsync(nbdProcess(t, words));
  t.regex(second?.message ?? '', /another server listens on it/);
  first.signal('SIGKILL');
  await first.ended;
  t.true(existsSync(socket));
  const third = await nbdProcess(t, words);
  const info = await runTool('nbdinfo', '--json', third.addresses[0]);
  t.is(JSON.parse(info.stdout).exports[0]['export-name'], 'my disk');
  third.signal('SIGINT');
  t.is(await third.ended, 0);
  t.false(existsSync(socket));
});

test('a missing or damaged chunk is an error for its range, until it is back', async (t) => {
  const work = temporaryFolder(t);
  const plain = join(work, 'x.raw');
  writeFileSync(plain, randomBytes(2 * MIB));
  const index = join(work, 'x.caibx');
  const store = join(work, 'default.castr');
  await succeed(runCasync(['make', `--store=${store}`, '--chunk-size=65536', index, plain]));
  const content = readFileSync(plain);
  const chunks = readdirSync(store, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.cacnk'),
  );
  t.true(chunks.length > 10);
  const server = await nbdProcess(t, [index, '--listen=127.0.0.1:0', '--read-cache=64K']);
  const client = await NbdClient.open(placeOf(server.addresses[0]));
  const step = 65_536;
  const aside = join(work, 'aside');
  for (const [i, chunk] of chunks.entries()) {
    const path = join(store, chunk);
    renameSync(path, aside);
    if (i % 2 === 1) writeFileSync(path, 'no chunk');
    let failed = 0;
    for (let offset = 0; offset < content.length; offset += step) {
      const answer = await client.read(offset, step);
      if (answer.error === 0) t.true(answer.data.equals(content.subarray(offset, offset + step)));
      else {
        failed += 1;
        t.is(answer.error, 5);
        t.true(answer.message.length > 0);
      }
    }
    renameSync(aside, path);
    t.true(failed <= 6, `${failed} failures by one chunk`);
    t.true((await client.read(0, content.length)).data.equals(content));
  }
  t.true(server.stderr().split('\n').length <= 21, server.stderr());
  server.signal('SIGTERM');
  t.is(await server.ended, 0);
});

test('with --cow= clients write, and the next server knows it', async (t) => {
  if (!requirement(t, { commands: TOOLS })) return;
  const work = temporaryFolder(t);
  const words = [images[0].input, '--listen=127.0.0.1:0', `--cow=${join(work, 'changes')}`];
  const other = join(work, 'other.raw');
  const content = readFileSync(images[0].plain);
  randomBytes(3 * MIB).copy(content, 5 * MIB + 77);
  content.fill(0, 0, MIB);
  writeFileSync(other, content);
  const first = await nbdProcess(t, words);
  const copied = await runTool('nbdcopy', '--flush', other, first.addresses[0]);
  t.is(copied.status, 0, copied.stderr);
  first.signal('SIGTERM');
  t.is(await first.ended, 0, first.stderr());
  const second = await nbdProcess(t, words);
  const uri = second.addresses[0];
  const compared = await runTool('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', uri, other);
  t.is(compared.status, 0, compared.stdout + compared.stderr);
  const io = [
    'write -P 9 1M 64k',
    'write -z 2M 64k',
    'discard 3M 64k',
    'flush',
    'read -P 9 1M 64k',
  ];
  const written = await runTool(
    'qemu-io',
    ...['-f', 'raw', ...io.flatMap((command) => ['-c', command]), '-c', 'read -P 0 2M 64k', uri],
  );
  t.is(written.status, 0, written.stderr);
  t.false(/verification failed/i.test(written.stdout + written.stderr));
});

test('a service manager may have opened the socket', async (t) => {
  if (!requirement(t, { commands: [...TOOLS, 'python3'] })) return;
  const socket = join(temporaryFolder(t), 'activated');
  const listen = [
    'import os, socket, sys',
    's = socket.socket(socket.AF_UNIX)',
    `s.bind('${socket}')`,
    's.listen()',
    'os.dup2(os.dup(s.fileno()), 3)',
    'os.set_inheritable(3, True)',
    "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))",
    'os.execvp(sys.argv[1], sys.argv[1:])',
  ].join('\n');
  const server = await nbdProcess(t, [images[1].input], { wrapper: ['python3', '-c', listen] });
  t.deepEqual(server.addresses, ['descriptor 3']);
  const uri = `nbd+unix:///?socket=${socket}`;
  const info = await runTool('nbdinfo', '--size', uri);
  t.is(Number(info.stdout), 5 * MIB + 333);
  server.signal('SIGTERM');
  t.is(await server.ended, 0, server.stderr());
});

test('an archive is served as its bytes', async (t) => {
  const work = temporaryFolder(t);
  mkdirSync(join(work, 'tree'));
  writeFileSync(join(work, 'tree', 'file'), 'hello');
  const archive = join(work, 'x.catar');
  await succeed(runCasync(['make', archive, join(work, 'tree')]));
  await succeed(
    runCasync([
      'make',
      `--store=${join(work, 'default.castr')}`,
      join(work, 'x.caidx'),
      join(work, 'tree'),
    ]),
  );
  const content = readFileSync(archive);
  for (const name of ['x.catar', 'x.caidx']) {
    const server = await nbdProcess(t, [join(work, name), '--listen=127.0.0.1:0']);
    const client = await NbdClient.open(placeOf(server.addresses[0]));
    t.true((await client.read(0, content.length)).data.equals(content), name);
    client.destroy();
  }
});

test('what cannot be served is refused in one line', async (t) => {
  const work = temporaryFolder(t);
  const cases = [
    [],
    [work],
    [join(work, 'none.caibx')],
    [images[0].input, '--what=directory'],
    [images[0].input, '--listen=nowhere'],
    [images[0].input, '--listen=127.0.0.1:0', `--export-name=${'x'.repeat(5000)}`],
    [images[0].input, `--socket=${images[0].plain}`],
  ];
  for (const words of cases) {
    const { status, stderr } = await runCasync(['serve-nbd', ...words]);
    t.not(status, 0, words.join(' '));
    t.is(stderr.toString().trim().split('\n').length, 1, stderr.toString());
  }
});

test('64 clients that do not read their answers need little memory, and hold nobody up', async (t) => {
  if (!requirement(t, { commands: TOOLS })) return;
  const server = await serveBoth(t, images[0]);
  const size = readFileSync(images[0].plain).length;
  const place = placeOf(server.addresses[0]);
  const clients = await Promise.all(Array.from({ length: 64 }, () => NbdClient.open(place)));
  for (const client of clients) {
    client.socket.pause();
    for (let i = 0; i < 4; i++) client.ask({ command: 0, length: size });
  }
  const copy = join(temporaryFolder(t), 'copy');
  t.is((await runTool('nbdcopy', server.addresses[1], copy)).status, 0);
  t.true(readFileSync(copy).equals(readFileSync(images[0].plain)));
  const peak = /VmHWM:\s*(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, 'ascii'))?.[1];
  t.log(`${peak} kB`);
  t.true(Number(peak) <= 300 * 1024, `${peak} kB`);
  server.signal('SIGTERM');
  t.is(await server.ended, 0, server.stderr());
  for (const client of clients) client.destroy();
});

test('nbdkit reads what it passes on', async (t) => {
  if (!requirement(t, { commands: [...TOOLS, 'nbdkit'] })) return;
  const server = await serveBoth(t, images[1]);
  const copy = join(temporaryFolder(t), 'copy');
  const pass = ['-U', '-', 'nbd', `uri=${server.addresses[0]}`, '--run', `nbdcopy "$uri" ${copy}`];
  const { status, stderr } = await runTool('nbdkit', ...pass);
  t.is(status, 0, stderr);
  t.true(readFileSync(copy).equals(readFileSync(images[1].plain)));
});
