/** What every RemoteFile that can be written must do (store/remote-file.ts). */
import test, { type ExecutionContext } from 'ava';
import type { RemoteFile } from '../../store/remote-file.ts';
import { noise, text } from '../helpers/golden.ts';

/** Makes a file that is not there yet and that the test may use alone. */
export type RemoteFileFactory = (t: ExecutionContext) => RemoteFile | Promise<RemoteFile>;

const RANGES = [
  [0, 1],
  [0, 5000],
  [17, 100],
  [4999, 1],
  [4000, 2000],
  [5000, 10],
  [9000, 10],
] as const;

async function write(file: RemoteFile, bytes: Uint8Array, pieceLength = 70_000): Promise<void> {
  const writer = await file.openWriter();
  const piece = new Uint8Array(pieceLength);
  for (let offset = 0; offset < bytes.length; offset += pieceLength) {
    const part = bytes.subarray(offset, offset + pieceLength);
    piece.set(part);
    await writer.write(piece.subarray(0, part.length));
    piece.fill(0xee);
  }
  await writer.commit();
}

async function readAll(file: RemoteFile, signal?: AbortSignal): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of file.read(signal ? { signal } : {})) pieces.push(piece.slice());
  return new Uint8Array(Buffer.concat(pieces));
}

export function remoteFileSuite(name: string, create: RemoteFileFactory): void {
  reading(name, create);
  replacing(name, create);
  stopping(name, create);
}

function reading(name: string, create: RemoteFileFactory): void {
  test(`${name}: gives back what was written, byte for byte`, async (t) => {
    for (const length of [0, 1, 5000, 300_000, 3_000_000]) {
      const file = await create(t);
      await write(file, noise(length));
      t.is((await file.stat()).size, length);
      t.true(Buffer.from(noise(length)).equals(await readAll(file)), `${length} bytes`);
    }
  });

  test(`${name}: gives ranges, as far as they go, many at once`, async (t) => {
    const file = await create(t);
    const bytes = noise(5000);
    await write(file, bytes);
    t.true((await file.stat()).hasRanges);
    const found = await Promise.all(
      RANGES.map(([offset, length]) => file.readRange({ offset, length })),
    );
    for (const [i, [offset, length]] of RANGES.entries()) {
      t.deepEqual(found[i], bytes.slice(offset, offset + length), `${offset}+${length}`);
    }
  });

  test(`${name}: says missing of what is not there`, async (t) => {
    const file = await create(t);
    const code = 'OBJECT_MISSING';
    await t.throwsAsync(file.stat(), { code });
    await t.throwsAsync(readAll(file), { code });
    await t.throwsAsync(file.readRange({ offset: 0, length: 1 }), { code });
  });
}

function replacing(name: string, create: RemoteFileFactory): void {
  test(`${name}: the older file stays until the new one is complete`, async (t) => {
    const file = await create(t);
    await write(file, text(10));
    const writer = await file.openWriter();
    await writer.write(noise(500_000));
    t.deepEqual(await readAll(file), text(10));
    await writer.commit();
    await writer.discard();
    t.true(Buffer.from(noise(500_000)).equals(await readAll(file)));
  });

  test(`${name}: what was discarded leaves no trace`, async (t) => {
    const file = await create(t);
    const first = await file.openWriter();
    await first.write(text(10));
    await first.discard();
    await t.throwsAsync(file.stat(), { code: 'OBJECT_MISSING' });
    await write(file, text(20));
    const second = await file.openWriter();
    await second.write(noise(700_000));
    await second.discard();
    await second.discard();
    t.deepEqual(await readAll(file), text(20));
  });
}

function stopping(name: string, create: RemoteFileFactory): void {
  test(`${name}: who stops reading early can read again`, async (t) => {
    const file = await create(t);
    await write(file, noise(2_000_000));
    for (let i = 0; i < 5; i++) {
      for await (const piece of file.read()) {
        t.true(piece.length > 0);
        break;
      }
    }
    t.true(Buffer.from(noise(2_000_000)).equals(await readAll(file)));
  });

  test(`${name}: does nothing when the signal has fired`, async (t) => {
    const file = await create(t);
    await write(file, text(10));
    const reason = new Error('stopped');
    const signal = AbortSignal.abort(reason);
    await t.throwsAsync(file.stat({ signal }), { is: reason });
    await t.throwsAsync(file.readRange({ offset: 0, length: 1 }, { signal }), { is: reason });
    await t.throwsAsync(readAll(file, signal), { is: reason });
    await t.throwsAsync(file.openWriter({ signal }), { is: reason });
  });

  test(`${name}: a signal ends what is under way`, async (t) => {
    const file = await create(t);
    await write(file, noise(3_000_000));
    const controller = new AbortController();
    const reason = new Error('stopped');
    const reading = (async () => {
      for await (const piece of file.read({ signal: controller.signal })) {
        if (piece.length > 0) controller.abort(reason);
      }
    })();
    await t.throwsAsync(reading, { is: reason });
    t.true(Buffer.from(noise(3_000_000)).equals(await readAll(file)));
  });
}
