import test from 'ava';
import fc from 'fast-check';
import { ChunkCache } from '../../../lib/read/chunk-cache.ts';

const BEGIN = 4096;

interface Known {
  readonly address: number;
  readonly length: number;
  pins: number;
  isReady: boolean;
}

/** What the cache must agree with: every chunk that may not have been given up. */
class Model {
  readonly chunks = new Map<number, Known>();

  /** Chunks that nobody may overwrite. */
  kept(): readonly Known[] {
    return [...this.chunks.values()].filter(({ pins, isReady }) => pins > 0 || !isReady);
  }

  overlaps(address: number, length: number): boolean {
    return this.kept().some(
      (one) => one.address < address + length && address < one.address + one.length,
    );
  }

  /** Forgets what the cache has given up. */
  follow(cache: ChunkCache): void {
    for (const chunk of this.chunks.keys()) {
      if (cache.find(chunk) === undefined) this.chunks.delete(chunk);
    }
  }
}

test('room never overlaps what is used or on its way, and what is kept stays where it is', (t) => {
  const step = fc.record({
    what: fc.constantFrom('reserve', 'ready', 'fail', 'pin', 'unpin'),
    chunk: fc.nat(60),
    lengths: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const cache = new ChunkCache(BEGIN, 2000);
      const model = new Model();
      for (const { what, chunk, lengths } of steps) {
        const known = model.chunks.get(chunk);
        if (what === 'reserve') {
          const isNew = lengths.every((_, i) => cache.find(chunk + i) === undefined);
          if (!isNew) continue;
          const address = cache.reserve(chunk, lengths);
          model.follow(cache);
          if (address === undefined) continue;
          const total = lengths.reduce((a, b) => a + b, 0);
          t.true(address >= BEGIN && address + total <= BEGIN + 2000);
          t.false(model.overlaps(address, total));
          let place = address;
          for (const [i, length] of lengths.entries()) {
            const known = { address: place, length, pins: 0, isReady: false };
            model.chunks.set(chunk + i, known);
            place += length;
          }
        } else if (known !== undefined && what === 'ready' && !known.isReady) {
          cache.ready(chunk);
          known.isReady = true;
        } else if (known !== undefined && what === 'fail' && !known.isReady) {
          cache.failed(chunk);
          model.chunks.delete(chunk);
        } else if (known?.isReady && what === 'pin') {
          cache.pin(chunk);
          known.pins += 1;
        } else if (known !== undefined && what === 'unpin' && known.pins > 0) {
          cache.unpin(chunk);
          known.pins -= 1;
        }
        for (const [chunk, { address, length, isReady }] of model.chunks) {
          const found = cache.find(chunk);
          t.is(found?.address, address);
          t.is(found?.length, length);
          t.is(found?.state, isReady ? 'ready' : 'loading');
        }
        const pinned = [...model.chunks.values()].filter(({ pins }) => pins > 0);
        t.is(
          cache.pinnedBytes,
          pinned.reduce((sum, { length }) => sum + length, 0),
        );
      }
    }),
  );
});

test('while nothing is in use there is room for anything that fits', (t) => {
  const cache = new ChunkCache(0, 1000);
  for (let i = 0; i < 500; i++) {
    const length = 1 + ((i * 379) % 1000);
    t.not(cache.reserve(i, [length]), undefined);
    cache.ready(i);
  }
  t.is(cache.reserve(1000, [1001]), undefined);
});

test('what was used stays longer than what was not', (t) => {
  const cache = new ChunkCache(0, 400);
  for (let chunk = 0; chunk < 4; chunk++) {
    cache.reserve(chunk, [100]);
    cache.ready(chunk);
  }
  // The first search spares nobody for ever; from then on only who is used again counts as used.
  cache.reserve(4, [100]);
  cache.ready(4);
  const old = [0, 1, 2, 3].filter((chunk) => cache.find(chunk) !== undefined);
  t.is(old.length, 3);
  cache.pin(old[0]);
  cache.unpin(old[0]);
  cache.reserve(5, [100]);
  t.not(cache.find(old[0]), undefined);
});

test('everything in use: no room, and room again afterwards', (t) => {
  const cache = new ChunkCache(0, 200);
  cache.reserve(1, [100, 100]);
  cache.ready(1);
  cache.pin(1);
  t.is(cache.reserve(3, [100]), undefined);
  cache.unpin(1);
  t.is(cache.reserve(3, [100]), 0);
  t.is(cache.find(1), undefined);
  cache.failed(2);
  t.is(cache.reserve(4, [100]), 100);
});
