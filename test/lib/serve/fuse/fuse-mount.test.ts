/** The FUSE server against the kernel of this machine, seen through ordinary programs. */
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { requirement } from '../../../helpers/requirements.ts';
import {
  PATTERN_BYTES,
  patternByte,
  SPARSE_BYTES,
  sparseByte,
} from '../../../helpers/toy-file-system.ts';
import { fuseNeeds, startToyMount, type ToyMount } from '../../../helpers/toy-mount.ts';

const PATTERN = Buffer.from(Uint8Array.from({ length: PATTERN_BYTES }, (_, i) => patternByte(i)));

function law(title: string, check: (t: ExecutionContext, mount: ToyMount) => Promise<void>): void {
  test.serial(title, async (t) => {
    if (!requirement(t, fuseNeeds('python3', 'perl', 'getfattr', 'lsattr', 'dd'))) return;
    await check(t, await startToyMount(t));
  });
}

async function output(mount: ToyMount, file: string, ...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await mount.run(file, ...words);
  if (status !== 0) throw new Error(`${file} ${words.join(' ')}: ${status} ${stderr}`);
  return stdout.toString();
}

/** A program in Python that prints what it has found. */
function python(mount: ToyMount, ...lines: string[]): Promise<string> {
  return output(mount, 'python3', '-c', ['import os, mmap, fcntl, struct', ...lines].join('\n'));
}

law('stat shows attributes, times to the nanosecond and device numbers', async (t, mount) => {
  const shown = await output(
    mount,
    'stat',
    '-c',
    '%n %f %h %u %g %s %b %.9Y %t:%T',
    'pattern',
    'link',
    'wide',
    '.',
  );
  t.deepEqual(shown.trimEnd().split('\n'), [
    `pattern 81a4 1 12 34 ${PATTERN_BYTES} ${Math.ceil(PATTERN_BYTES / 512)} -1.234567891 0:0`,
    'link a1ff 1 12 34 5 0 -1.234567891 0:0',
    'wide 6180 1 12 34 0 0 -1.234567891 fff:abcde',
    '. 41ed 2 0 0 0 0 -1.234567891 0:0',
  ]);
  t.is(await output(mount, 'readlink', 'link'), 'hello\n');
});

law('find and ls see every name, with the inode numbers of stat', async (t, mount) => {
  const found = await output(
    mount,
    'find',
    '.',
    '-not',
    '-path',
    './many/*',
    '-printf',
    '%p %i %y\n',
  );
  t.true(found.includes('./folder/inner/deep'));
  for (const line of found.trimEnd().split('\n')) {
    const [path, inode] = line.split(' ');
    t.is(await output(mount, 'stat', '-c', '%i', path), `${inode}\n`);
  }
  const listed = (await output(mount, 'ls', '-lai', 'folder')).split('\n');
  const [self, parent] = [1, 2].map((line) => Number.parseInt(listed[line], 10));
  t.is(`${self}\n`, await output(mount, 'stat', '-c', '%i', 'folder'));
  t.is(parent, 1);
});

law('reads give the bytes that are there, at odd offsets and directly too', async (t, mount) => {
  t.true((await mount.run('cat', 'pattern')).stdout.equals(PATTERN));
  const dd = ['dd', 'if=pattern', 'status=none'] as const;
  const part = ['bs=997', 'iflag=skip_bytes,count_bytes', 'skip=123457', 'count=1000003'] as const;
  const odd = await mount.run(...dd, ...part);
  t.true(odd.stdout.equals(PATTERN.subarray(123457, 123457 + 1000003)));
  t.true((await mount.run(...dd, 'iflag=direct', 'bs=2M')).stdout.equals(PATTERN));
  const direct = await mount.run(...dd, 'iflag=direct,skip_bytes', 'bs=4k', 'skip=3145728');
  t.true(direct.stdout.equals(PATTERN.subarray(3145728)));
});

law('a read ends where the file ends, also in a mapping', async (t, mount) => {
  const lengths = await python(
    mount,
    `size = ${PATTERN_BYTES}`,
    'fd = os.open("pattern", os.O_RDONLY)',
    'print([len(os.pread(fd, 9000, at)) for at in (size - 5, size, size + 1, size - 9001)])',
    'mapped = mmap.mmap(fd, 0, prot=mmap.PROT_READ)',
    'print(len(mapped), mapped[size - 1], mapped[1000000])',
  );
  const end = patternByte(PATTERN_BYTES - 1);
  t.is(lengths, `[5, 0, 0, 9000]\n${PATTERN_BYTES} ${end} ${patternByte(1_000_000)}\n`);
});

law('64 programs read at a time', async (t, mount) => {
  const names = Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? 'pattern' : 'waits'));
  const read = names.map((name, i) =>
    mount.run(
      'dd',
      `if=${name}`,
      'status=none',
      'bs=64k',
      `skip=${i % 8}`,
      ...(i % 3 ? [] : ['iflag=direct']),
    ),
  );
  (await Promise.all(read)).forEach(({ stdout }, i) => {
    t.true(stdout.equals(PATTERN.subarray((i % 8) * 65536)), String(i));
  });
  const { read: given, released } = await mount.counts();
  t.is(released, given);
});

law('attributes and flags of files are shown', async (t, mount) => {
  t.is(
    await output(mount, 'getfattr', '-d', '-m-', 'hello'),
    '# file: hello\nuser.colour="blue"\nuser.empty=""\n\n',
  );
  t.is(await output(mount, 'getfattr', '-d', '-m-', 'pattern'), '');
  t.regex(await output(mount, 'lsattr', 'hello'), /^----i-d-+ hello\n$/);
  const fat =
    'print(struct.unpack("I", fcntl.ioctl(os.open("hello", 0), 0x80047210, bytes(4)))[0])';
  t.is(await python(mount, fat), '34\n');
});

law('nothing can be changed', async (t, mount) => {
  for (const words of [
    ['touch', 'new'],
    ['mkdir', 'new'],
    ['rm', '-f', 'hello'],
    ['chmod', '600', 'hello'],
    ['dd', 'if=/dev/zero', 'of=hello', 'count=1'],
    ['setfattr', '-n', 'user.a', '-v', 'b', 'hello'],
  ]) {
    const [file, ...rest] = words;
    const { status, stderr } = await mount.run(file, ...rest);
    t.not(status, 0);
    t.regex(stderr, /Read-only file system/, words.join(' '));
  }
});

law('holes are found and copied as holes', async (t, mount) => {
  const found = await python(
    mount,
    'fd = os.open("sparse", os.O_RDONLY)',
    'at, seen = 0, []',
    'for whence in (os.SEEK_HOLE, os.SEEK_DATA, os.SEEK_HOLE):',
    '    at = os.lseek(fd, at, whence)',
    '    seen.append(at >> 20)',
    'print(seen)',
  );
  t.is(found, '[1, 5, 6]\n');
  const copy = `${mount.folder}.copy`;
  t.teardown(() => mount.run('rm', '-f', copy).then(() => {}));
  await output(mount, 'cp', '--sparse=always', 'sparse', copy);
  t.true(Number(await output(mount, 'stat', '-c', '%b', copy)) * 512 <= 3 * 2 ** 20);
  const expected = Buffer.from(Uint8Array.from({ length: SPARSE_BYTES }, (_, i) => sparseByte(i)));
  t.true((await mount.run('cat', copy)).stdout.equals(expected));
});

law('a read that fails once is EIO once, and told once', async (t, mount) => {
  const read = ['dd', 'if=fails-once', 'iflag=direct', 'status=none'] as const;
  const first = await mount.run(...read);
  t.not(first.status, 0);
  t.regex(first.stderr, /Input\/output error/);
  t.is((await mount.run(...read)).stdout.toString(), 'hello\n');
  for (let i = 0; i < 2; i++)
    t.regex((await mount.run('cat', 'bug')).stderr, /Input\/output error/);
  t.is((await mount.run('cat', 'hello')).stdout.toString(), 'hello\n');
  t.deepEqual(mount.failures, ['PipelineError: toy: failed once', 'TypeError: a mistake']);
});

for (const signal of ['SIGKILL', 'SIGINT'] as const) {
  law(`a reader that waits for ever can be ended with ${signal}`, async (t, mount) => {
    const reader = await mount.startWaiting(
      'dd',
      'if=never-ends',
      'iflag=direct',
      'bs=4k',
      'count=1',
    );
    const exited = once(reader, 'exit');
    reader.kill(signal);
    t.deepEqual(await exited, [null, signal]);
    t.is((await mount.counts()).aborted, 1);
    t.is((await mount.run('cat', 'hello')).stdout.toString(), 'hello\n');
  });
}

law('a reader of cached pages that waits for ever can be killed', async (t, mount) => {
  const reader = await mount.startWaiting('cat', 'never-ends');
  const exited = once(reader, 'exit');
  reader.kill('SIGKILL');
  t.deepEqual(await exited, [null, 'SIGKILL']);
  t.is((await mount.run('cat', 'hello')).stdout.toString(), 'hello\n');
});

const LISTING = String.raw`
  opendir(my $folder, "many") or die;
  my (@names, @places);
  for (;;) {
    my $place = telldir($folder);
    my $name = readdir($folder);
    last unless defined $name;
    push @names, $name;
    push @places, $place;
  }
  my %seen = map { $_ => 1 } @names;
  for (my $i = $#names; $i >= 0; $i -= 7919) {
    seekdir($folder, $places[$i]);
    die "$i" unless readdir($folder) eq $names[$i];
  }
  print scalar(@names), " ", scalar(keys %seen), "\n";
`;

law('a large folder is listed by several programs that jump about in it', async (t, mount) => {
  const count = 'print(len({entry.name for entry in os.scandir("many")}))';
  const [first, second, third] = await Promise.all([
    output(mount, 'perl', '-e', LISTING),
    output(mount, 'perl', '-e', LISTING),
    python(mount, count),
  ]);
  t.deepEqual([first, second, third], ['100002 100002\n', '100002 100002\n', '100000\n']);
});

law('a forced unmount ends the server, and readers that wait', async (t, mount) => {
  const reader = await mount.startWaiting(
    'dd',
    'if=never-ends',
    'iflag=direct',
    'bs=4k',
    'count=1',
  );
  const exited = once(reader, 'exit');
  await mount.run('sh', '-c', 'cd /; exec umount -f -l "$1"', 'sh', mount.folder);
  t.deepEqual(await exited, [1, null]);
  const { end, aborted } = await mount.ended;
  t.deepEqual({ end, aborted }, { end: 'unmounted', aborted: 1 });
});

law('a server that is stopped lets its readers go', async (t, mount) => {
  const reader = await mount.startWaiting(
    'dd',
    'if=never-ends',
    'iflag=direct',
    'bs=4k',
    'count=1',
  );
  const exited = once(reader, 'exit');
  mount.stop();
  t.deepEqual(await exited, [1, null]);
  t.is((await mount.ended).end, 'closed');
});
