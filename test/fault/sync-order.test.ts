/** The order of system calls that makes files durable (spec/promises.md, 1 to 3), seen by strace. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const STORE = fileURLToPath(new URL('../../store/backends/', import.meta.url));
const CALLS = 'fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat';
const LINE = /^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)/;

/** Successful calls on files below `folder`, as `name path path`, with random parts taken out. */
function traced(folder: string, program: string): readonly string[] {
  const [script, log] = [join(folder, 'program.mts'), join(folder, 'log')];
  writeFileSync(script, program);
  const options = ['-f', '-y', '-qq', '-e', `trace=${CALLS}`, '-e', 'signal=none', '-o', log];
  execFileSync('strace', [...options, process.execPath, '--import=tsx', script], {
    cwd: STORE,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, UV_USE_IO_URING: '0' },
  });
  const work = join(folder, 'work');
  return readFileSync(log, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, name, words = '', result] =
        LINE.exec(line.replace('<unfinished ...>', ') = 0')) ?? [];
      if (name === undefined || Number(result) < 0 || !words.includes(work)) return [];
      const ownPaths = words.replaceAll(/AT_FDCWD<[^<">]*>/g, '');
      const paths = [...ownPaths.matchAll(/[<"]([^<">]*)[>"]/g)].map(([, path]) => path);
      const named = paths.map((path) =>
        path
          .replace(work, 'W')
          .replace(/[0-9a-f]{16}$/, 'RANDOM')
          .replace(/\.[0-9a-f]+\.tmp$/, '.RANDOM.tmp'),
      );
      return [[name.replace(/at2?$/, ''), ...named].join(' ')];
    });
}

function program(body: string, ...imports: readonly string[]): string {
  const lines = imports.map((name) => {
    const file = name === 'openDurableFile' ? 'durable-write' : 'local';
    return `import { ${name} } from '${STORE}${file}.node.ts';`;
  });
  return [...lines, "import * as fs from 'node:fs';", body].join('\n');
}

function begin(
  t: ExecutionContext,
): { readonly folder: string; readonly work: string } | undefined {
  if (!requirement(t, { commands: ['strace'] })) return undefined;
  const folder = temporaryFolder(t);
  execFileSync('mkdir', [join(folder, 'work')]);
  return { folder, work: join(folder, 'work') };
}

test('a file is synced, then renamed, then its folder is synced', (t) => {
  const place = begin(t);
  if (place === undefined) return;
  const body = `const file = openDurableFile('${place.work}/x', { mode: 0o644 });
    fs.writeSync(file.descriptor, 'x');
    await file.commit({ sync: true });`;
  const expected = ['fsync W/.#xRANDOM', 'rename W/.#xRANDOM W/x', 'fsync W'];
  t.deepEqual(traced(place.folder, program(body, 'openDurableFile')), expected);
});

test('without syncfs, an object is synced, then linked, then all folders are synced', (t) => {
  const place = begin(t);
  if (place === undefined) return;
  const body = `const backend = openLocalBackend('${place.work}/s');
    await backend.put('abcd/one', new Uint8Array(1), { ifAbsent: true });
    await backend.flush();`;
  const calls = traced(place.folder, program(body, 'openLocalBackend'));
  t.deepEqual(calls.slice(0, 3), [
    'fsync W/s/abcd/one.RANDOM.tmp',
    'link W/s/abcd/one.RANDOM.tmp W/s/abcd/one',
    'unlink W/s/abcd/one.RANDOM.tmp',
  ]);
  t.deepEqual([...calls.slice(3)].sort(), ['fsync W', 'fsync W/s', 'fsync W/s/abcd']);
});

test('with native calls, an object gets its name by one rename that replaces nothing', (t) => {
  const place = begin(t);
  if (place === undefined) return;
  const calls = fileURLToPath(new URL('../../lib/os/file-calls.node.ts', import.meta.url));
  const body = `import { createFileCalls } from '${calls}';
    const syncFileSystem = async (fd: number) => fs.fsyncSync(fd);
    const calls = createFileCalls();
    const backend = openLocalBackend('${place.work}/s', { syncFileSystem, calls });
    await backend.has(['abcd/one']);
    await backend.put('abcd/one', new Uint8Array(1), { ifAbsent: true });
    await backend.flush();`;
  t.deepEqual(traced(place.folder, program(body, 'openLocalBackend')), [
    'fsync W/s',
    'rename W/s/abcd/one.RANDOM.tmp W/s/abcd/one',
    'fsync W/s',
  ]);
});

test('objects that are synced together are replaced by rename, and synced again at the end', (t) => {
  const place = begin(t);
  if (place === undefined) return;
  const body = `const syncFileSystem = async (fd: number) => fs.fsyncSync(fd);
    const backend = openLocalBackend('${place.work}/s', { syncFileSystem });
    await backend.put('one', new Uint8Array(1));
    await backend.put('two', new Uint8Array(1));
    await backend.flush();`;
  const calls = traced(place.folder, program(body, 'openLocalBackend'));
  t.is(calls[0], 'fsync W/s');
  t.deepEqual([...calls.slice(1, 3)].sort(), [
    'rename W/s/one.RANDOM.tmp W/s/one',
    'rename W/s/two.RANDOM.tmp W/s/two',
  ]);
  t.deepEqual(calls.slice(3), ['fsync W/s']);
});
