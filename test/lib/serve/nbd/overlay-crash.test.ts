/** What an overlay holds after the power was cut at any moment, on a disk that is simulated. */
import { crc32 } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import {
  BLOCK_LENGTH,
  BLOCKS_PER_PAGE,
  decodeOverlayHeader,
  encodeOverlayHeader,
  overlayLayout,
} from '../../../../formats/overlay.ts';
import type { BlobReader } from '../../../../lib/read/blob-reader.ts';
import type { BlockExport } from '../../../../lib/serve/nbd/block-export.ts';
import { createOverlay } from '../../../../lib/serve/nbd/overlay.ts';
import { loadMap } from '../../../../lib/serve/nbd/overlay-store.ts';
import {
  createRandom,
  type DiskState,
  diskWith,
  type Random,
  SECTOR_LENGTH,
  SimulatedDisk,
} from '../../../helpers/simulated-disk.ts';

/** Three pages of the map; the last block is a short one. */
const SIZE = 2 * BLOCKS_PER_PAGE * BLOCK_LENGTH + 5 * BLOCK_LENGTH + 3 * SECTOR_LENGTH;
const LAYOUT = overlayLayout(SIZE);
/** Where pages of the map meet, and the ends. */
const PLACES = [0, BLOCKS_PER_PAGE - 2, 2 * BLOCKS_PER_PAGE - 2, LAYOUT.blockCount - 4];
const SECTORS_PER_BLOCK = BLOCK_LENGTH / SECTOR_LENGTH;
const BASE = 0xba5e;
const ID = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

function filled(version: number, length: number): Uint8Array {
  return new Uint8Array(new Uint32Array(length / 4).fill(version).buffer);
}

const base: BlobReader = {
  label: 'base',
  size: SIZE,
  read: ({ length }) => ({ pieces: [filled(BASE, length)], length, release() {} }),
  extentAt: () => ({ end: SIZE, isZero: false }),
  close: async () => {},
};

function newDisk(): DiskState {
  const header = encodeOverlayHeader({ size: SIZE, identity: undefined, id: ID }, crc32);
  const sectors = new Map<number, Uint8Array>();
  for (let i = 0; i < SECTORS_PER_BLOCK; i++) {
    sectors.set(i, header.slice(i * SECTOR_LENGTH, (i + 1) * SECTOR_LENGTH));
  }
  return diskWith(sectors);
}

async function open(disk: SimulatedDisk): Promise<BlockExport> {
  const page = new Uint8Array(BLOCK_LENGTH);
  await disk.read(0, page);
  const { id } = decodeOverlayHeader(page, crc32);
  const place = { file: disk, layout: LAYOUT, id, crc32 };
  return createOverlay(base, place, await loadMap(place));
}

/** What each sector may hold: every version since the one that was promised. */
class History {
  readonly #versions = new Map<number, number[]>();
  #latest = BASE;

  next(): number {
    return ++this.#latest;
  }

  begin(offset: number, length: number, version: number): void {
    for (let i = offset / SECTOR_LENGTH; i < (offset + length) / SECTOR_LENGTH; i++) {
      this.#versions.set(i, [...this.of(i), version]);
    }
  }

  of(sector: number): readonly number[] {
    return this.#versions.get(sector) ?? [BASE];
  }

  get sectors(): readonly number[] {
    return [...this.#versions.keys()];
  }

  /** Everything up to now is promised as soon as the result is called. */
  promise(): () => void {
    const lengths = [...this.#versions].map(([sector, { length }]) => ({ sector, length }));
    return () => {
      for (const { sector, length } of lengths) {
        const dropped = length - 1 - (this.#dropped.get(sector) ?? 0);
        if (dropped <= 0) continue;
        this.#versions.set(sector, this.of(sector).slice(dropped));
        this.#dropped.set(sector, length - 1);
      }
    };
  }

  /** How many versions of a sector came before those that are listed. */
  readonly #dropped = new Map<number, number>();

  /** What was found after a crash; if only the process had died, older ones may still come back. */
  settle(sector: number, version: number, isDurable: boolean): void {
    const older = isDurable ? [] : this.of(sector).filter((other) => other !== version);
    this.#versions.set(sector, [...older, version]);
    this.#dropped.delete(sector);
  }
}

async function readSectors(overlay: BlockExport, history: History): Promise<Map<number, number>> {
  const found = new Map<number, number>();
  for (const sector of history.sectors) {
    const { pieces } = await overlay.read({
      offset: sector * SECTOR_LENGTH,
      length: SECTOR_LENGTH,
    });
    const bytes = Buffer.concat(pieces);
    const version = bytes.readUInt32LE(0);
    if (!bytes.equals(filled(version, SECTOR_LENGTH))) throw new Error(`sector ${sector}: garbage`);
    found.set(sector, version);
  }
  return found;
}

/** Changes that overlap in time, with flushes between them, until all are done or the power fails. */
async function work(
  overlay: BlockExport,
  history: History,
  random: Random,
  count: number,
): Promise<void> {
  const { writer } = overlay;
  if (writer === undefined) throw new Error('not writable');
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const start = (task: Promise<void>): void => {
    const settled = task.catch((error) => void failures.push(error));
    running.add(settled);
    settled.finally(() => running.delete(settled));
  };
  for (let i = 0; i < count && failures.length === 0; i++) {
    if (random(5) === 0) {
      // Only what has ended is promised.
      await Promise.all(running);
      if (failures.length > 0) break;
      const promised = history.promise();
      start(writer.flush().then(promised));
      continue;
    }
    const sector = PLACES[random(PLACES.length)] * SECTORS_PER_BLOCK + random(24);
    const offset = sector * SECTOR_LENGTH;
    const length = Math.min((1 + random(20)) * SECTOR_LENGTH, SIZE - offset);
    const isZero = random(3) === 0;
    const version = isZero ? 0 : history.next();
    history.begin(offset, length, version);
    if (isZero) start(writer.zero({ offset, length }, { keep: random(2) === 0 }));
    else start(writer.write(offset, filled(version, length)));
    if (random(3) === 0) await Promise.all(running);
  }
  await Promise.all(running);
}

interface Crash {
  readonly seed: number;
  readonly cuts: readonly Cut[];
}

interface Cut {
  /** Calls until it happens. */
  readonly callsLeft: number;
  /** Otherwise the process is killed, and what it has written is in the memory of the system. */
  readonly isPowerCut: boolean;
}

async function surviveCrashes({ seed, cuts }: Crash): Promise<void> {
  const random = createRandom(seed);
  const history = new History();
  let state = newDisk();
  let isDurable = true;
  for (const cut of [...cuts, undefined]) {
    const options = { tornBelow: LAYOUT.dataOffset, random, ...cut };
    const disk = new SimulatedDisk(LAYOUT.fileSize, state, options);
    try {
      const overlay = await open(disk);
      for (const [sector, version] of await readSectors(overlay, history)) {
        const allowed = history.of(sector);
        if (!allowed.includes(version)) {
          throw new Error(`sector ${sector}: version ${version}, not one of ${allowed}`);
        }
        history.settle(sector, version, isDurable);
      }
      await work(overlay, history, random, 40);
      if (!disk.isOff) await overlay.close();
    } catch (error) {
      // The power may fail while the overlay is being opened.
      if (!disk.isOff) throw error;
    }
    isDurable = cut?.isPowerCut === true;
    state = cut?.isPowerCut ? disk.afterPowerCut() : disk.afterKill();
  }
}

test('after a power cut at any call, what was flushed is there, and the rest is old or new', async (t) => {
  for (let callsLeft = 1; callsLeft < 150; callsLeft++) {
    for (let seed = 0; seed < 6; seed++) {
      const crash = { seed: 1000 * callsLeft + seed, cuts: [{ callsLeft, isPowerCut: true }] };
      await t.notThrowsAsync(surviveCrashes(crash), JSON.stringify(crash));
    }
  }
});

test('the same after several power cuts and kills, also during recovery', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0 }),
      fc.array(
        fc.record({
          callsLeft: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 120 })),
          isPowerCut: fc.boolean(),
        }),
        { minLength: 1, maxLength: 6 },
      ),
      (seed, cuts) => surviveCrashes({ seed, cuts }),
    ),
    { numRuns: 300 },
  );
  t.pass();
});

test('many pages of the map go through the journal in several rounds', async (t) => {
  const pageCount = 150;
  const size = pageCount * BLOCKS_PER_PAGE * BLOCK_LENGTH;
  const layout = overlayLayout(size);
  const large = { ...base, size };
  const random = createRandom(7);
  for (const callsLeft of [undefined, 160, 230, 240, 300, 311, 330, 400, 450]) {
    const options = { tornBelow: layout.dataOffset, random, ...(callsLeft && { callsLeft }) };
    const disk = new SimulatedDisk(layout.fileSize, newDisk(), options);
    const place = { file: disk, layout, id: ID, crc32 };
    const overlay = createOverlay(large, place, await loadMap(place));
    let isFlushed = false;
    try {
      await overlay.writer?.zero({ offset: 0, length: size });
      await overlay.writer?.flush();
      isFlushed = true;
    } catch {
      t.true(disk.isOff);
    }
    if (callsLeft === undefined) t.true(isFlushed);
    const left = new SimulatedDisk(layout.fileSize, disk.afterPowerCut(), {
      tornBelow: 0,
      random,
    });
    const reopened = await loadMap({ ...place, file: left });
    const states = Array.from({ length: pageCount }, (_, i) =>
      reopened.runAt(i * BLOCKS_PER_PAGE, (i + 1) * BLOCKS_PER_PAGE),
    );
    t.true(states.every(({ end }, i) => end === (i + 1) * BLOCKS_PER_PAGE));
    if (isFlushed) t.true(states.every(({ state }) => state === 1));
  }
});
