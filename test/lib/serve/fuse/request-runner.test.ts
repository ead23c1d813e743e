import test from 'ava';
import fc from 'fast-check';
import type { BlobBytes } from '../../../../lib/read/blob-reader.ts';
import { type Deferred, deferred } from '../../../../lib/work/deferred.ts';
import { readRequest, request, text, u64 } from '../../../helpers/fuse-bytes.ts';
import { serveToScript } from '../../../helpers/scripted-kernel.ts';
import { createToyFileSystem, type ToyFileSystem } from '../../../helpers/toy-file-system.ts';

const E = { INTR: 4, IO: 5 } as const;
const toy = createToyFileSystem();

function inodeOf(name: string, fileSystem: ToyFileSystem): number {
  const found = fileSystem.lookup(1, Buffer.from(name));
  if (found === undefined || found instanceof Promise) throw new Error(`no ${name}`);
  return found.inode;
}

/** Lets everything happen that is under way. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('what the kernel does not come to know is forgotten at once', (t) => {
  const fresh = createToyFileSystem();
  const { kernel } = serveToScript(fresh);
  kernel.ask(readRequest({ opcode: 28, inode: 1 }, 0, 4096));
  t.true(fresh.counts.named > 0);
  t.is(fresh.counts.forgotten, fresh.counts.named);
  for (const asked of [
    request({ opcode: 1 }, text('hello\0')),
    readRequest({ opcode: 44, inode: 1 }, 0, 4096),
  ]) {
    kernel.outcomes.push('unwanted');
    kernel.ask(asked);
    t.is(fresh.counts.forgotten, fresh.counts.named);
  }
  const { named } = fresh.counts;
  kernel.ask(request({ opcode: 1 }, text('hello\0')));
  t.is(fresh.counts.forgotten, named);
  kernel.ask(request({ opcode: 2, inode: 100 }, u64(1)));
  t.is(fresh.counts.forgotten, named + 1);
});

test('bytes are given back after their answer, and also if nobody wanted it', (t) => {
  const fresh = createToyFileSystem();
  const { kernel, failures } = serveToScript(fresh);
  const asked = readRequest({ opcode: 15, inode: inodeOf('pattern', fresh) }, 0, 4096);
  const { counts } = fresh;
  t.is(kernel.answerTo(asked).errno, 0);
  kernel.outcomes.push('unwanted');
  t.is(kernel.answerTo(asked).errno, 0);
  t.deepEqual([counts.read, counts.released], [2, 2]);
  t.deepEqual(failures, []);
});

test('an answer that the kernel refuses becomes EIO, and is told', (t) => {
  const fresh = createToyFileSystem();
  const { kernel, failures } = serveToScript(fresh);
  kernel.outcomes.push('refused');
  kernel.ask(readRequest({ opcode: 15, inode: inodeOf('pattern', fresh) }, 0, 4096));
  t.deepEqual(
    kernel.answers.map(({ errno }) => errno),
    [0, E.IO],
  );
  t.is(failures.length, 1);
  t.is(fresh.counts.released, 1);
});

test('failures are told once for each message; the next read tries again', (t) => {
  const fresh = createToyFileSystem();
  const { kernel, failures } = serveToScript(fresh);
  const read = (name: string): number =>
    kernel.answerTo(readRequest({ opcode: 15, inode: inodeOf(name, fresh) }, 0, 10)).errno;
  t.deepEqual([read('fails-once'), read('fails-once')], [E.IO, 0]);
  t.deepEqual([read('bug'), read('bug')], [E.IO, E.IO]);
  t.deepEqual(failures.map(String), ['PipelineError: toy: failed once', 'TypeError: a mistake']);
});

/** A file system whose reads end when the test says so. */
function heldReads(): {
  fileSystem: ToyFileSystem;
  reads: Deferred<BlobBytes>[];
  signals: AbortSignal[];
} {
  const reads: Deferred<BlobBytes>[] = [];
  const signals: AbortSignal[] = [];
  const fileSystem: ToyFileSystem = {
    ...createToyFileSystem(),
    read(_, __, options) {
      const held = deferred<BlobBytes>();
      reads.push(held);
      if (options?.signal !== undefined) signals.push(options.signal);
      return held.promise;
    },
  };
  return { fileSystem, reads, signals };
}

function bytesOf(characters: string, released: () => void): BlobBytes {
  return { pieces: [text(characters)], length: characters.length, release: released };
}

test('a read that waits is answered when it can be, others are answered before it', async (t) => {
  const { fileSystem, reads } = heldReads();
  const { kernel } = serveToScript(fileSystem);
  let released = 0;
  kernel.ask(readRequest({ opcode: 15, unique: 10 }, 0, 10));
  t.is(kernel.answerTo(request({ opcode: 3, unique: 12 })).unique, 12n);
  reads[0].resolve(bytesOf('late', () => released++));
  await turn();
  t.is(kernel.answers.length, 2);
  t.deepEqual(kernel.answers[1], { unique: 10n, errno: 0, body: Buffer.from('late') });
  t.is(released, 1);
});

test('an interrupt ends the waiting of its request alone, with EINTR, once', async (t) => {
  const { fileSystem, reads, signals } = heldReads();
  const { kernel, failures } = serveToScript(fileSystem);
  let released = 0;
  const unique = 2n ** 63n + 4n;
  kernel.ask(readRequest({ opcode: 15, unique }, 0, 10));
  kernel.ask(readRequest({ opcode: 15, unique: unique + 2n }, 0, 10));
  for (let i = 0; i < 2; i++) kernel.ask(request({ opcode: 36, unique: unique + 1n }, u64(unique)));
  t.deepEqual(
    kernel.answers.map(({ errno, unique }) => [errno, unique]),
    [[E.INTR, unique]],
  );
  t.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, false],
  );
  reads[0].resolve(bytesOf('late', () => released++));
  reads[1].reject(signals[0].reason);
  await turn();
  t.is(released, 1);
  t.deepEqual(
    kernel.answers.map(({ errno }) => errno),
    [E.INTR, E.IO],
  );
  t.deepEqual(failures, [], 'what was stopped did not fail');
});

test('an interrupt for a request that is not there, or not whole, is nothing', (t) => {
  const { kernel } = serveToScript(toy);
  kernel.ask(request({ opcode: 36 }, u64(99)));
  kernel.ask(request({ opcode: 36 }));
  t.deepEqual(kernel.answers, []);
});

test('so many bytes may be waited for, the next reads stand in line', async (t) => {
  const { fileSystem, reads } = heldReads();
  const { kernel } = serveToScript(fileSystem);
  for (let i = 0; i < 100; i++) kernel.ask(readRequest({ opcode: 15, unique: 10 + i }, 0, 2 ** 20));
  t.is(reads.length, 96);
  t.is(
    kernel.answerTo(request({ opcode: 3 })).errno,
    0,
    'other requests do not stand behind reads',
  );
  kernel.ask(request({ opcode: 36 }, u64(10 + 96)));
  t.is(kernel.answers[1].errno, E.INTR, 'also one in line can be interrupted');
  reads[5].resolve(bytesOf('x', () => {}));
  reads[6].resolve(bytesOf('x', () => {}));
  await turn();
  t.is(reads.length, 98);
  t.deepEqual(
    kernel.answers.slice(2).map(({ unique }) => unique),
    [15n, 16n],
  );
});

test('close ends all that waits, with an error, and the connection', async (t) => {
  const { fileSystem, reads, signals } = heldReads();
  const { kernel, server } = serveToScript(fileSystem);
  let released = 0;
  for (let i = 0; i < 100; i++) kernel.ask(readRequest({ opcode: 15, unique: 10 + i }, 0, 2 ** 20));
  server.close();
  t.is(await server.ended, 'closed');
  t.deepEqual(new Set(kernel.answers.map(({ unique }) => unique)).size, 100);
  t.true(kernel.answers.every(({ errno }) => errno === E.IO));
  t.true(signals.every(({ aborted }) => aborted));
  for (const { resolve } of reads) resolve(bytesOf('x', () => released++));
  await turn();
  t.is(released, 96);
  t.is(reads.length, 96, 'nothing is begun any more');
  t.is(kernel.answers.length, 100);
});

test('unmounting ends what waits, too', async (t) => {
  const { fileSystem, signals } = heldReads();
  const { kernel, server } = serveToScript(fileSystem);
  kernel.ask(readRequest({ opcode: 15 }, 0, 10));
  kernel.end();
  t.is(await server.ended, 'unmounted');
  t.true(signals[0].aborted);
});

/** Opcodes that no answer is for. */
const UNANSWERED = [2, 36, 41, 42];

test('any requests get one answer each, if they want one, and nothing breaks', async (t) => {
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.constantFrom(text('hello\0'), text('waits\0'), new Uint8Array(40), new Uint8Array(16)),
    fc
      .tuple(fc.nat(2 ** 23), fc.nat(2 ** 14))
      .map(([offset, size]) => readRequest({ opcode: 15 }, offset, size).subarray(40)),
  );
  const asked = fc.record({
    opcode: fc.oneof(fc.integer({ min: 0, max: 64 }), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
    inode: fc.oneof(fc.integer({ min: 0, max: 116 }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
    body: bodies,
  });
  const fileSystem = createToyFileSystem();
  const neverEnds = inodeOf('never-ends', fileSystem);
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { maxLength: 30 }), async (requests) => {
      const { kernel } = serveToScript(fileSystem);
      const expected: bigint[] = [];
      requests.forEach(({ opcode, inode, body }, i) => {
        if (opcode === 15 && Number(inode) === neverEnds) return;
        const unique = BigInt(i) << 40n;
        kernel.ask(request({ opcode, inode, unique }, body));
        if (!UNANSWERED.includes(opcode)) expected.push(unique);
      });
      await turn();
      const given = kernel.answers.map(({ unique }) => unique);
      t.deepEqual(given.toSorted(ascending), expected.toSorted(ascending));
    }),
    { numRuns: 300 },
  );
  t.is(fileSystem.counts.released, fileSystem.counts.read);
});

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : Number(a > b);
}

test('bytes that are no request at all are dropped', (t) => {
  const { kernel } = serveToScript(toy);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      // Its length in the header would be right by chance only.
      if (bytes.length >= 4 && Buffer.from(bytes).readUInt32LE(0) === bytes.length) return;
      kernel.ask(bytes);
    }),
  );
  t.deepEqual(kernel.answers, []);
});
