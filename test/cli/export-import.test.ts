/** `export` and `import`: other programs take what we make, and the other way round (spec/bridges.md). */
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { writeImagePair } from '../helpers/image-pair.ts';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, type RunResult, runCasync, succeed } from '../helpers/run-casync.ts';
import { writeSpgz } from '../helpers/spgz.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';

const SIZE = 8 * 1024 * 1024;
const SUMS = [
  ['rdiff-sig', []],
  ['rdiff-sig:blake2:rollsum', ['-R', 'rollsum']],
  ['rdiff-sig:md4', ['-H', 'md4']],
  ['rdiff-sig:md4:rollsum', ['-H', 'md4', '-R', 'rollsum']],
] as const;

let images = '';
test.before(() => {
  images = makeTemporaryFolder();
  const [a, b] = [join(images, 'A'), join(images, 'B')];
  writeImagePair(a, b, { size: SIZE, changedPages: 25 });
  // Something in other places, a size that is no multiple of anything, and zeros.
  const [old, fresh] = [noise(500_000, 5), fs.readFileSync(b)];
  fs.appendFileSync(a, old);
  fs.writeFileSync(b, Buffer.concat([fresh, noise(1001, 6), old, new Uint8Array(300_000)]));
  fs.truncateSync(b, SIZE + 1001 + 500_000 + 300_001);
});
test.after.always(() => removeTree(images));

/** A folder with both images. */
function folderOf(t: ExecutionContext): string {
  const folder = temporaryFolder(t);
  for (const name of ['A', 'B']) fs.copyFileSync(join(images, name), join(folder, name));
  return folder;
}

function run(folder: string, ...words: readonly string[]): Promise<RunResult> {
  return runCasync(words, { cwd: folder });
}

function rdiff(folder: string, ...words: readonly string[]): void {
  execFileSync('rdiff', ['-f', ...words], { cwd: folder });
}

function areEqual(folder: string, a: string, b: string): boolean {
  return fs.readFileSync(join(folder, a)).equals(fs.readFileSync(join(folder, b)));
}

for (const [format, options] of SUMS) {
  test.serial(`rdiff takes our ${format} and delta, and we take its`, async (t) => {
    if (!requirement(t, { commands: ['rdiff'] })) return;
    const folder = folderOf(t);
    await succeed(
      run(folder, 'export', `--format=${format}`, '--block-size=3000', 'A', 'ours.sig'),
    );
    rdiff(folder, ...options, '-b', '3000', 'signature', 'A', 'its.sig');
    t.true(areEqual(folder, 'ours.sig', 'its.sig'), 'signature');

    rdiff(folder, 'delta', 'ours.sig', 'B', 'its.delta');
    await succeed(
      run(folder, 'export', '--format=rdiff-delta', '--base=its.sig', 'B', 'ours.delta'),
    );
    rdiff(folder, 'patch', 'A', 'ours.delta', 'B1');
    t.true(areEqual(folder, 'B1', 'B'), 'our delta, its patch');
    await succeed(run(folder, 'import', '--base=A', 'its.delta', 'B2'));
    t.true(areEqual(folder, 'B2', 'B'), 'its delta, our patch');
    const [ours, its] = ['ours.delta', 'its.delta'].map((name) => {
      return fs.statSync(join(folder, name)).size;
    });
    t.true((ours ?? 0) <= (its ?? 0) * 1.01, `${ours} and ${its} bytes`);

    const same = await succeed(run(folder, 'import', '--base=A', 'its.sig'));
    t.regex(same.stdout.toString(), /of 3000 bytes.*\n0 blocks differ\n$/);
    const other = await run(folder, 'import', '--json', '--base=B', 'ours.sig');
    t.is(other.status, 1, describeRun(other));
    t.true(JSON.parse(other.stdout.toString()).differentBlocks > 20);
  });
}

test.serial('blocks have the size of rdiff, whatever the size of the image', async (t) => {
  if (!requirement(t, { commands: ['rdiff'] })) return;
  const folder = temporaryFolder(t);
  for (const size of [0, 1, 256, 65_536, 65_537, 300_000]) {
    fs.writeFileSync(join(folder, 'x'), noise(size));
    await succeed(run(folder, 'export', '--format=rdiff-sig', 'x', 'ours'));
    rdiff(folder, 'signature', 'x', 'its');
    t.true(areEqual(folder, 'ours', 'its'), `${size} bytes`);
  }
});

test.serial(
  'delta and patch of rdiff work in pipes, and with the old file in place of a signature',
  async (t) => {
    const folder = folderOf(t);
    const stdin = fs.readFileSync(join(folder, 'B'));
    const words = ['export', '--format=rdiff-delta', '--base=A', '-'];
    const { stdout } = await succeed(runCasync(words, { cwd: folder, stdin }));
    t.true(stdout.length < 600_000, `${stdout.length}`);
    const patch = ['import', '--format=rdiff-delta', '--base=A', '-', '-'];
    const patched = await succeed(runCasync(patch, { cwd: folder, stdin: stdout }));
    t.true(patched.stdout.equals(stdin));
  },
);

test.serial('a delta of rdiff that ends early or does not fit leaves nothing behind', async (t) => {
  const folder = folderOf(t);
  await succeed(run(folder, 'export', '--format=rdiff-delta', '--base=A', 'B', 'delta'));
  const delta = fs.readFileSync(join(folder, 'delta'));
  fs.writeFileSync(join(folder, 'cut'), delta.subarray(0, delta.length - 1));
  fs.writeFileSync(join(folder, 'short'), noise(5000));
  for (const [base, name] of [
    ['A', 'cut'],
    ['short', 'delta'],
    ['A', 'short'],
  ] as const) {
    const result = await run(
      folder,
      'import',
      '--format=rdiff-delta',
      `--base=${base}`,
      name,
      'out',
    );
    t.is(result.status, 14, describeRun(result));
    t.deepEqual(fs.readdirSync(folder).sort(), ['A', 'B', 'cut', 'delta', 'short']);
  }
});

for (const words of [[], ['--block-size=4K'], ['--block-size=2M']]) {
  test.serial(
    `QEMU finds nothing wrong with an image, alone or on another: ${words.join()}`,
    async (t) => {
      if (!requirement(t, { commands: ['qemu-img'] })) return;
      const folder = folderOf(t);
      const images = fs.mkdtempSync(join(folder, 'a:b'));
      const [full, overlay] = [join(images, 'full'), join(images, 'overlay')];
      await succeed(run(folder, 'export', '--format=qcow2', ...words, 'B', full));
      await succeed(run(folder, 'export', '--format=qcow2', ...words, '--backing=A', 'B', overlay));
      for (const image of [full, overlay]) {
        execFileSync('qemu-img', ['check', '-q', `file:${image}`]);
        execFileSync(
          'qemu-img',
          ['compare', '-q', '-f', 'raw', '-F', 'qcow2', 'B', `file:${image}`],
          {
            cwd: folder,
          },
        );
      }
      const [few = 0, all = 0] = [overlay, full].map((path) => fs.statSync(path).size);
      t.true(all > SIZE && few <= all);
      if (words[0] === '--block-size=4K') t.true(few < 1_000_000, `${few}`);
    },
  );
}

test.serial('an overlay is smaller or larger than its backing file', async (t) => {
  if (!requirement(t, { commands: ['qemu-img'] })) return;
  const folder = temporaryFolder(t);
  const bytes = noise(400_000);
  for (const [old, fresh] of [
    [100, 400_000],
    [400_000, 100_352],
    [400_000, 0],
    [0, 70_000],
  ] as const) {
    fs.writeFileSync(join(folder, 'old'), bytes.subarray(0, old));
    fs.writeFileSync(join(folder, 'new'), bytes.subarray(0, fresh));
    await succeed(run(folder, 'export', '--format=qcow2', '--backing=old', 'new', 'image'));
    execFileSync('qemu-img', ['check', '-q', 'image'], { cwd: folder });
    execFileSync('qemu-img', ['convert', '-O', 'raw', 'image', 'raw'], { cwd: folder });
    const raw = fs.readFileSync(join(folder, 'raw'));
    t.true(raw.subarray(0, fresh).equals(Buffer.from(bytes.subarray(0, fresh))), `${old} ${fresh}`);
    t.true(raw.length < fresh + 512 && raw.subarray(fresh).every((byte) => byte === 0));
  }
});

test.serial(
  'a backing file is no image of QEMU, and nothing that is read is replaced',
  async (t) => {
    const folder = folderOf(t);
    fs.symlinkSync('A', join(folder, 'link'));
    await succeed(run(folder, 'export', '--format=qcow2', 'A', 'image'));
    for (const [status, words] of [
      [1, ['--format=qcow2', '--backing=image', 'B', 'out']],
      [1, ['--format=qcow2', '--block-size=5000', 'B', 'out']],
      [1, ['--format=qcow3', 'B', 'out']],
      [1, ['B', 'out']],
      [1, ['--format=bmap', '--backing=A', 'B', 'out']],
      [15, ['--format=qcow2', '--backing=A', 'B', 'A']],
      [15, ['--format=qcow2', 'A', 'link']],
      [15, ['--format=rdiff-delta', '--base=A', 'B', 'link']],
      [15, ['--format=sparse', 'B', '/dev/null']],
    ] as const) {
      const result = await run(folder, 'export', ...words);
      t.is(result.status, status, describeRun(result));
      t.false(fs.existsSync(join(folder, 'out')));
    }
    t.true(fs.statSync('/dev/null').isCharacterDevice());
  },
);

/** A loop device over a new file of this size. */
function loopDevice(t: ExecutionContext, size: number): string {
  const file = join(temporaryFolder(t), 'disk');
  fs.writeFileSync(file, noise(size, 77));
  const device = execFileSync('losetup', ['-f', '--show', file], { encoding: 'utf8' }).trim();
  t.teardown(() => spawnSync('losetup', ['-d', device]));
  return device;
}

test.serial('bmaptool copies what we export to a device, and finds damage', async (t) => {
  if (!requirement(t, { root: true, commands: ['bmaptool', 'losetup'] })) return;
  const folder = folderOf(t);
  const { size } = fs.statSync(join(folder, 'B'));
  const device = loopDevice(t, Math.ceil(size / 4096) * 4096);
  await succeed(run(folder, 'export', '--format=sparse', '--sparse=never', 'B', 'copy'));
  execFileSync('bmaptool', ['copy', 'copy', device], { cwd: folder, stdio: 'pipe' });
  t.true(
    fs
      .readFileSync(device)
      .subarray(0, size)
      .equals(fs.readFileSync(join(folder, 'B'))),
  );
  await succeed(run(folder, 'export', '--format=bmap', 'B', 'copy.bmap'));
  execFileSync('bmaptool', ['copy', 'copy', device], { cwd: folder, stdio: 'pipe' });

  const file = fs.openSync(join(folder, 'copy'), 'r+');
  fs.writeSync(file, 'damage', 5_000_000);
  fs.closeSync(file);
  const damaged = spawnSync('bmaptool', ['copy', 'copy', device], { cwd: folder });
  t.not(damaged.status, 0);
});

test.serial(
  'we check and copy what bmaptool has described, and write nothing of a damaged image',
  async (t) => {
    if (!requirement(t, { root: true, commands: ['bmaptool', 'losetup'] })) return;
    const folder = temporaryFolder(t);
    const path = join(folder, 'image');
    fs.writeFileSync(path, noise(700_000));
    fs.truncateSync(path, 3_000_000);
    fs.appendFileSync(path, noise(96_000, 3));
    execFileSync('bmaptool', ['create', '-o', 'image.bmap', 'image'], {
      cwd: folder,
      stdio: 'pipe',
    });
    await succeed(run(folder, 'import', 'image'));
    await succeed(run(folder, 'import', 'image.bmap', 'copy'));
    t.true(areEqual(folder, 'image', 'copy'));
    t.true(fs.statSync(join(folder, 'copy')).blocks * 512 < 1_200_000);
    const device = loopDevice(t, 4_096_000);
    await succeed(run(folder, 'import', '--format=sparse', 'image', device));
    const written = fs.readFileSync(device);
    t.true(written.subarray(0, 700_000).equals(Buffer.from(noise(700_000))));
    t.true(written.subarray(3_000_000, 3_096_000).equals(Buffer.from(noise(96_000, 3))));
    t.true(
      written.subarray(1_000_000, 2_000_000).some((byte) => byte !== 0),
      'holes say nothing',
    );

    const file = fs.openSync(path, 'r+');
    fs.writeSync(file, 'damage', 600_000);
    fs.closeSync(file);
    for (const output of [[], ['other'], [device]]) {
      const result = await run(folder, 'import', 'image', ...output);
      t.is(result.status, 14, describeRun(result));
    }
    t.true(fs.readFileSync(device).equals(written));
    t.false(fs.existsSync(join(folder, 'other')));
  },
);

test.serial(
  'holes are left out of a block map, zeros if asked for, and blocks of all if asked for',
  async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'image');
    fs.writeFileSync(path, Buffer.concat([noise(40_960), new Uint8Array(40_960), noise(4096)]));
    fs.truncateSync(path, 2_000_000);
    for (const [sparse, mapped] of [
      ['auto', 21],
      ['always', 11],
      ['never', 489],
    ] as const) {
      await succeed(
        run(folder, 'export', '--format=bmap', `--sparse=${sparse}`, 'image', 'image.bmap'),
      );
      const text = fs.readFileSync(join(folder, 'image.bmap'), 'utf8');
      t.is(Number(/<MappedBlocksCount> (\d+)/.exec(text)?.[1]), mapped, sparse);
      await succeed(run(folder, 'import', 'image.bmap', 'copy'));
      t.true(areEqual(folder, 'image', 'copy'));
    }
  },
);

test.serial('a file of spgz is unpacked, and is an image for all that reads images', async (t) => {
  const folder = folderOf(t);
  writeSpgz(join(folder, 'B.spgz'), fs.readFileSync(join(folder, 'B')));
  await succeed(run(folder, 'import', 'B.spgz', 'copy'));
  t.true(areEqual(folder, 'B', 'copy'));
  await succeed(run(folder, 'export', '--format=rdiff-sig', 'B', 'one'));
  await succeed(run(folder, 'export', '--format=rdiff-sig', 'B.spgz', 'other'));
  t.false(areEqual(folder, 'one', 'A'));
  await succeed(run(folder, 'sync', '--map=none', 'B.spgz', 'synced'));
  t.true(areEqual(folder, 'B', 'synced'));
});
