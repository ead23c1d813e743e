/** Updates of files and devices, and which maps are believed (spec/images.md, spec/formats/map.md). */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isCasError } from '../../../../formats/errors.ts';
import { createBlockDigest } from '../../../../lib/digest/block-digest.node.ts';
import type {
  ImageUpdate,
  ImageUpdateOptions,
} from '../../../../lib/images/destination/image-update.ts';
import { openImageUpdate } from '../../../../lib/images/destination/update-image.node.ts';
import { noise } from '../../../helpers/golden.ts';
import { requirement } from '../../../helpers/requirements.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const KIB = 1024;
const PAGE = 4096;

interface Run {
  readonly writtenBytes: number;
  readonly holeBytes: number;
  readonly readBytes: number;
  readonly wasClean: boolean;
  readonly root: Uint8Array;
  readonly warnings: readonly string[];
}

type Asked = Partial<ImageUpdateOptions>;

/** Writes what `update` does not know. */
async function writeAll(update: ImageUpdate, source: Uint8Array): Promise<void> {
  const { blockSize, known } = update;
  const digest = createBlockDigest(update.digest);
  for (let i = 0; i * blockSize < source.length; i++) {
    const bytes = source.subarray(i * blockSize, (i + 1) * blockSize);
    const digests = new Uint8Array(32);
    digest.write(bytes, digests, 0);
    if (known.has(i, digests, 0)) continue;
    const isZero = bytes.every((byte) => byte === 0);
    await update.write({ first: i, count: 1 }, digests, isZero ? undefined : bytes);
  }
}

async function bring(path: string, source: Uint8Array, options: Asked = {}): Promise<Run> {
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  const update = await openImageUpdate(path, { size: source.length, onWarning, ...options });
  try {
    const wasClean = update.isMapClean;
    const { size = source.length } = update;
    await update.readDestination();
    await writeAll(update, source.subarray(0, size));
    const result = await update.finish(size);
    return { ...result, readBytes: update.readBytes, wasClean, warnings };
  } finally {
    await update.abandon();
  }
}

/** Nothing changes, and the message says how to go on. */
async function refused(
  t: ExecutionContext<unknown>,
  path: string,
  work: () => Promise<unknown>,
  expected: { readonly code: string; readonly text: RegExp },
): Promise<void> {
  const before = existsSync(path) ? readFileSync(path) : undefined;
  const error = await t.throwsAsync(work);
  if (!isCasError(error)) throw error;
  t.is(error.code, expected.code, error.message);
  t.regex(error.message, expected.text);
  t.deepEqual(existsSync(path) ? readFileSync(path) : undefined, before);
}

const WAYS_OUT = /casync map bind, rebuild or forget, or take --map=none/;

function place(t: ExecutionContext<unknown>): string {
  const folder = temporaryFolder(t);
  mkdirSync(folder, { recursive: true });
  return join(folder, 'dst');
}

function changed(image: Uint8Array, ...pages: readonly number[]): Uint8Array {
  const copy = image.slice();
  for (const page of pages) copy[page * PAGE + 17] ^= 0xff;
  return copy;
}

test('a clean map spares reading, and only what differs is written', async (t) => {
  const path = place(t);
  const image = noise(300 * KIB);
  await bring(path, image);
  const next = changed(image, 3, 40);
  t.like(await bring(path, next), { wasClean: true, readBytes: 0, writtenBytes: 2 * PAGE });
  t.deepEqual(readFileSync(path), Buffer.from(next));
});

test('an image that is there already changes nothing: no byte, no date, no map', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image);
  const names = [path, `${path}.caibx`, `${path}.caibx.state`];
  const look = () => names.map((name) => statSync(name, { bigint: true }));
  const before = look();
  t.like(await bring(path, image), { writtenBytes: 0, holeBytes: 0, readBytes: 0 });
  for (const [i, { mtimeNs, ctimeNs, ino }] of look().entries()) {
    t.like(before[i], { mtimeNs, ctimeNs, ino });
  }
});

test('zeros become holes', async (t) => {
  const path = place(t);
  const image = noise(1024 * KIB);
  await bring(path, image);
  const next = image.slice();
  next.fill(0, 256 * KIB, 768 * KIB);
  t.like(await bring(path, next), { writtenBytes: 0, holeBytes: 512 * KIB });
  t.deepEqual(readFileSync(path), Buffer.from(next));
  t.true(statSync(path).blocks * 512 <= 600 * KIB);
});

test('sizes follow the source, and every size comes out', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  for (const size of [100 * KIB, 50_001, 4096, 1, 0, 4095, 77_777, 100 * KIB]) {
    await bring(path, image.subarray(0, size));
    t.deepEqual(readFileSync(path), Buffer.from(image.subarray(0, size)), `${size}`);
  }
});

test('a stream may be longer or shorter than what is there, with zeros at its end', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  image.fill(0, 60 * KIB);
  for (const size of [70_001, 100 * KIB, 64 * KIB, 50_000, 61_441]) {
    await bring(path, image.subarray(0, size), { size: undefined });
    t.deepEqual(readFileSync(path), Buffer.from(image.subarray(0, size)), `${size}`);
    t.like(await bring(path, image.subarray(0, size)), { wasClean: true, writtenBytes: 0 });
  }
});

test('size policies decide before anything is written', async (t) => {
  const path = place(t);
  const image = noise(40 * KIB);
  writeFileSync(path, image);
  const longer = noise(50 * KIB, 2);
  const full = (text: RegExp) => ({ code: 'TARGET_FULL', text });
  const exact = () => bring(path, longer, { sizePolicy: 'exact' });
  await refused(t, path, exact, full(/51200 bytes, the file has 40960; --size=resize/));
  await refused(t, path, () => bring(path, longer, { sizePolicy: 'larger-ok' }), full(/room for/));
  const shorter = longer.subarray(0, 8 * KIB);
  await bring(path, shorter, { sizePolicy: 'larger-ok' });
  t.deepEqual(readFileSync(path), Buffer.concat([shorter, image.subarray(8 * KIB)]));
  t.true((await bring(path, shorter, { sizePolicy: 'larger-ok' })).wasClean);
  await bring(path, longer, { sizePolicy: 'common' });
  t.deepEqual(readFileSync(path), Buffer.from(longer.subarray(0, 40 * KIB)));
});

test('a map of another destination is refused', async (t) => {
  const path = place(t);
  const [image, other] = [noise(100 * KIB), noise(100 * KIB, 2)];
  await bring(path, image);
  writeFileSync(`${path}-other`, other);
  renameSync(`${path}-other`, path);
  const expected = { code: 'UNSAFE_TARGET', text: /belongs to another destination/ };
  await refused(t, path, () => bring(path, image), expected);
  await refused(t, path, () => bring(path, image), { ...expected, text: WAYS_OUT });
  await bring(path, image, { map: 'none' });
  t.deepEqual(readFileSync(path), Buffer.from(image));
});

test('a map whose destination is gone is refused, and no file is made', async (t) => {
  const path = place(t);
  await bring(path, noise(100 * KIB));
  rmSync(path);
  const expected = { code: 'UNSAFE_TARGET', text: /is not there, but its map is/ };
  await refused(t, path, () => bring(path, noise(100 * KIB)), expected);
  t.false(existsSync(path));
});

test('another digest or block size than that of the map is refused', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image);
  const expected = { code: 'UNSAFE_TARGET', text: /the map has sha256, not blake2b-256/ };
  await refused(t, path, () => bring(path, image, { digest: 'blake2b-256' }), expected);
  const sizes = { code: 'UNSAFE_TARGET', text: /blocks of 4096 bytes, not 8192/ };
  await refused(t, path, () => bring(path, image, { blockSize: 8192 }), sizes);
});

test('an index that is no map is neither believed nor replaced', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image);
  rmSync(`${path}.caibx.state`);
  const before = readFileSync(`${path}.caibx`);
  const expected = { code: 'UNSAFE_TARGET', text: /not known to be a map/ };
  await refused(t, path, () => bring(path, noise(100 * KIB, 2)), expected);
  t.deepEqual(readFileSync(`${path}.caibx`), before);
});

test('a damaged state, or a map that is not the one it speaks of, is refused', async (t) => {
  const path = place(t);
  const [image, other] = [noise(100 * KIB), noise(100 * KIB, 2)];
  await bring(path, image);
  const map = readFileSync(`${path}.caibx`);
  await bring(path, other);
  const state = readFileSync(`${path}.caibx.state`);
  const attempt = () => bring(path, image);
  for (const at of [0, 40, 150, state.length - 1]) {
    const flipped = Buffer.from(state);
    flipped[at] ^= 4;
    writeFileSync(`${path}.caibx.state`, flipped);
    const expected = { code: 'VERIFY_FAILED', text: WAYS_OUT };
    await refused(t, path, attempt, expected);
  }
  writeFileSync(`${path}.caibx.state`, state);
  writeFileSync(`${path}.caibx`, map);
  await refused(t, path, attempt, { code: 'UNSAFE_TARGET', text: /do not belong together/ });
});

test('a destination that somebody else has written is read, and said to be', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image);
  const foreign = changed(image, 7);
  writeFileSync(path, foreign);
  utimesSync(path, 1, 2);
  const run = await bring(path, image);
  t.like(run, { wasClean: false, readBytes: 100 * KIB, writtenBytes: PAGE });
  t.regex(run.warnings.join(), /changed since its map was made; reading it/);
  appendFileSync(path, 'more');
  t.like(await bring(path, image), { wasClean: false, writtenBytes: 0 });
  t.deepEqual(readFileSync(path), Buffer.from(image));
  t.true((await bring(path, image)).wasClean);
});

test('a check reads whatever the map says', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image);
  const { atime, mtime } = statSync(path);
  writeFileSync(path, changed(image, 7));
  utimesSync(path, atime, mtime);
  t.like(await bring(path, image, { check: true }), { readBytes: 100 * KIB, writtenBytes: PAGE });
  t.deepEqual(readFileSync(path), Buffer.from(image));
});

test('a copy of a destination with its map is read, not believed', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image);
  const copy = `${path}-copy`;
  execFileSync('cp', ['-a', path, copy]);
  for (const suffix of ['.caibx', '.caibx.state']) {
    copyFileSync(path + suffix, copy + suffix);
  }
  writeFileSync(copy, changed(image, 3));
  const run = await bring(copy, image);
  t.like(run, { readBytes: 100 * KIB, writtenBytes: PAGE });
  t.regex(run.warnings.join(), /copied or moved/);
});

test('BLAKE2b maps are no indexes for casync', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image, { digest: 'blake2b-256' });
  t.like(await bring(path, changed(image, 5)), { wasClean: true, writtenBytes: PAGE });
  const type = readFileSync(`${path}.caibx`).readBigUInt64LE(8);
  t.is(type, 0x4d8a1c3be96f2057n);
});

test('without a map nothing is left beside the destination', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image, { map: 'none' });
  t.like(await bring(path, changed(image, 5), { map: 'none' }), { writtenBytes: PAGE });
  t.false(existsSync(`${path}.caibx`) || existsSync(`${path}.caibx.state`));
});

test('a dry run says what would be written, and writes nothing', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  t.like(await bring(path, image, { isDryRun: true }), { writtenBytes: 100 * KIB });
  t.false(existsSync(path));
  await bring(path, image);
  const run = await bring(path, changed(image, 5).subarray(0, 50_000), { isDryRun: true });
  t.true(run.writtenBytes > 0);
  t.deepEqual(readFileSync(path), Buffer.from(image));
  t.true((await bring(path, image)).wasClean);
});

test('what is overwritten or cut off can be kept, and leads back', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image);
  const next = changed(image, 2, 9, 12).subarray(0, 50_000);
  const back = Buffer.alloc(image.length);
  back.set(next);
  const onUndo: ImageUpdateOptions['onUndo'] = async ({ first }, bytes) => {
    back.set(bytes, first * PAGE);
  };
  await bring(path, next, { onUndo });
  t.deepEqual(back, Buffer.from(image));
});

test('progress that was made before an end is kept', async (t) => {
  const path = place(t);
  const image = noise(200 * KIB);
  const update = await openImageUpdate(path, { size: image.length });
  await writeAll(update, image.subarray(0, 100 * KIB));
  await update.abandon();
  t.like(await bring(path, image), { readBytes: 0, writtenBytes: 100 * KIB });
  t.deepEqual(readFileSync(path), Buffer.from(image));
});

test('only one run at a time writes a destination', async (t) => {
  const path = place(t);
  const image = noise(100 * KIB);
  await bring(path, image);
  const update = await openImageUpdate(path, { size: image.length });
  const expected = { code: 'UNSAFE_TARGET', text: /another run is writing it/ };
  await refused(t, path, () => bring(path, image), expected);
  await update.abandon();
  t.true((await bring(path, image)).wasClean);
});

test('links lead to the destination, and what is no image is refused', async (t) => {
  const path = place(t);
  const image = noise(10 * KIB);
  symlinkSync('real', path);
  writeFileSync(path, '');
  await bring(path, image);
  t.true(existsSync(path.replace(/dst$/, 'real.caibx')));
  const folder = join(path, '..');
  await t.throwsAsync(() => bring(folder, image), { code: 'USAGE' });
  const wrong = { code: 'UNSAFE_TARGET', message: /no such device/ };
  await t.throwsAsync(() => bring('/dev/no-such-disk', image), wrong);
});

/** One of 1 MiB, empty. */
function emptyDevice(t: ExecutionContext<unknown>, fileName: string): string {
  const file = join(temporaryFolder(t), fileName);
  writeFileSync(file, '');
  truncateSync(file, 1024 * KIB);
  const name = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
  t.teardown(() => execFileSync('losetup', ['--detach', name]));
  return name;
}

const DEVICES = { root: true, commands: ['losetup', 'mkfs.ext4', 'mount', 'umount'] };

test('a device keeps its size, and is known again by what it is', async (t) => {
  if (!requirement(t, DEVICES)) return;
  const device = emptyDevice(t, 'disk');
  const map = `${place(t)}-map.caibx`;
  const image = noise(1024 * KIB);
  await bring(device, image, { map });
  image.fill(0, 512 * KIB, 768 * KIB);
  const next = changed(image, 3);
  t.like(await bring(device, next, { map }), { wasClean: true, readBytes: 0, writtenBytes: PAGE });
  t.deepEqual(readFileSync(device), Buffer.from(next));
  const short = next.subarray(0, 100_000);
  const full = { code: 'TARGET_FULL', message: /--size=larger-ok/ };
  await t.throwsAsync(() => bring(device, short, { map }), full);
  await t.throwsAsync(() => bring(device, noise(2048 * KIB), { map }), { code: 'TARGET_FULL' });
  await t.throwsAsync(() => bring(device, next, { map, size: undefined }), full);
  await bring(device, changed(short, 2), { map, sizePolicy: 'larger-ok' });
  const expected = Buffer.concat([changed(short, 2), next.subarray(100_000)]);
  t.deepEqual(readFileSync(device), expected);
  const other = emptyDevice(t, 'other-disk');
  const foreign = { code: 'UNSAFE_TARGET', message: /belongs to another destination/ };
  await t.throwsAsync(() => bring(other, next, { map }), foreign);
  t.true(readFileSync(other).every((byte) => byte === 0));
});

test('a device that somebody has written meanwhile is read', async (t) => {
  if (!requirement(t, DEVICES)) return;
  const device = emptyDevice(t, 'disk');
  const map = `${place(t)}-map.caibx`;
  const image = noise(1024 * KIB);
  await bring(device, image, { map });
  t.true((await bring(device, image, { map })).wasClean);
  execFileSync('dd', ['if=/dev/zero', `of=${device}`, 'bs=4096', 'count=1', 'conv=fsync'], {
    stdio: 'ignore',
  });
  t.like(await bring(device, image, { map }), { wasClean: false, writtenBytes: PAGE });
  t.deepEqual(readFileSync(device), Buffer.from(image));
});

test('a device that is mounted is refused, unless it is asked for', async (t) => {
  if (!requirement(t, DEVICES)) return;
  const device = emptyDevice(t, 'disk');
  execFileSync('mkfs.ext4', ['-q', device], { stdio: 'ignore' });
  const point = `${place(t)}-mounted`;
  mkdirSync(point);
  execFileSync('mount', [device, point]);
  t.teardown(() => execFileSync('umount', [point]));
  const image = noise(1024 * KIB);
  const expected = { code: 'UNSAFE_TARGET', message: /mounted or held.*--force-device/ };
  await t.throwsAsync(() => bring(device, image, { map: 'none' }), expected);
  const update = await openImageUpdate(device, {
    ...{ size: image.length, map: 'none', forceDevice: true },
  });
  await update.abandon();
});
