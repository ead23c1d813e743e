/** Files of spgz as images (spec/bridges.md, "spgz"). */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { isCasError } from '../../../../formats/errors.ts';
import { openSpgz } from '../../../../lib/images/bridges/spgz-source.node.ts';
import { BlockScan } from '../../../../lib/images/source/scan-blocks.node.ts';
import { noise } from '../../../helpers/golden.ts';
import { writeSpgz } from '../../../helpers/spgz.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const BLOCK = 3 * 4096 - 1;

/** The image in a file of spgz; undefined if it is none. */
async function imageIn(path: string): Promise<Buffer | undefined> {
  const descriptor = openSync(path, 'r');
  const scan = new BlockScan({ blockSize: 4096, digest: 'sha256', threadCount: 0 });
  try {
    const { size } = fstatSync(descriptor);
    const source = openSpgz({ descriptor, label: 'x.spgz', size });
    if (source === undefined) return undefined;
    const parts: Buffer[] = [];
    for await (const portion of scan.scan(source)) {
      parts.push(Buffer.from(portion.bytesOf(portion)));
      portion.release();
    }
    const image = Buffer.concat(parts);
    return image.length === source.size ? image : Buffer.from('another size');
  } finally {
    await scan.close();
    closeSync(descriptor);
  }
}

function textOf(length: number): Buffer {
  return Buffer.alloc(length, 'all work and no play ');
}

const IMAGES: Readonly<Record<string, Uint8Array>> = {
  nothing: new Uint8Array(0),
  'one byte': Uint8Array.of(7),
  'zeros of one block and a bit': new Uint8Array(BLOCK + 9),
  'one plain block': noise(BLOCK),
  'one compressed block': textOf(BLOCK),
  'all kinds and a compressed rest': Buffer.concat([
    noise(BLOCK + 700),
    textOf(3 * BLOCK),
    new Uint8Array(90_000),
    textOf(5 * BLOCK + 11_000),
  ]),
  'all kinds and a plain rest': Buffer.concat([
    textOf(8 * BLOCK),
    new Uint8Array(4 * BLOCK),
    noise(777),
  ]),
};

for (const [name, image] of Object.entries(IMAGES)) {
  for (const units of [3, 32]) {
    test(`the image in a file of spgz is read: ${name}, slots of ${units}`, async (t) => {
      const path = join(temporaryFolder(t), 'x.spgz');
      writeSpgz(path, image, { units });
      t.deepEqual(await imageIn(path), Buffer.from(image));
    });
  }
}

test('a block that was the last one before the image grew is filled with zeros', async (t) => {
  const path = join(temporaryFolder(t), 'x.spgz');
  writeSpgz(path, textOf(11_000), { units: 3 });
  truncateSync(path, 4096 + (BLOCK + 1) + 1 + 500);
  const expected = Buffer.concat([textOf(11_000), new Uint8Array(BLOCK - 11_000 + 500)]);
  t.deepEqual(await imageIn(path), expected);
});

test('other files are none of spgz', async (t) => {
  const path = join(temporaryFolder(t), 'x');
  for (const bytes of ['', 'SPGZ', 'SPGZ0002aaaaaaaaaaaaa', noise(5000)]) {
    writeFileSync(path, bytes);
    t.is(await imageIn(path), undefined);
  }
});

/** What reading a file of spgz gives after `harm`: the image, or the code of the failure. */
async function afterHarm(t: ExecutionContext, harm: (descriptor: number) => void) {
  const path = join(temporaryFolder(t), 'x.spgz');
  writeSpgz(path, Buffer.concat([textOf(BLOCK), noise(BLOCK), textOf(9000)]), { units: 3 });
  const descriptor = openSync(path, 'r+');
  harm(descriptor);
  closeSync(descriptor);
  try {
    return await imageIn(path);
  } catch (error) {
    return isCasError(error) ? error.code : error;
  }
}

function write(offset: number, ...bytes: readonly number[]) {
  return (descriptor: number) => writeSync(descriptor, Uint8Array.from(bytes), 0, null, offset);
}

test('damaged files of spgz are refused', async (t) => {
  t.is(await afterHarm(t, write(8, 2)), 'FORMAT', 'slots too small');
  t.is(await afterHarm(t, write(11, 0xff)), 'FORMAT', 'slots too large');
  t.is(await afterHarm(t, write(4096, 2)), 'FORMAT', 'kind of a slot');
  t.is(await afterHarm(t, write(4096 + 40, 0xff, 0xff, 0xff)), 'FORMAT', 'content of a slot');
  t.is(await afterHarm(t, (file) => ftruncateSync(file, 4096 + 2 * 12_288 + 30)), 'FORMAT');
});

test('any flipped bit of compressed content is noticed', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'x.spgz');
  const image = textOf(BLOCK + 10_000);
  writeSpgz(path, image, { units: 3 });
  const bytes = readFileSync(path);
  for (let bit = 0; bit < 8 * 60; bit += 1) {
    const harmed = Buffer.from(bytes);
    const at = 4097 + (bit >> 3);
    harmed[at] = (harmed[at] ?? 0) ^ (1 << (bit & 7));
    writeFileSync(path, harmed);
    const found = await imageIn(path).catch((error: unknown) => isCasError(error));
    t.true(found === true || (found instanceof Buffer && found.equals(image)), `bit ${bit}`);
  }
});
