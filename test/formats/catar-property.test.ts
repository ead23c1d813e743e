/** Laws that hold for all archives, on random ones. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { equalBytes } from '../../formats/bytes.ts';
import { parseArchive, plainEvents, serializeEvents } from '../helpers/catar.ts';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, runReference } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { catarTrees, eventsOf } from '../property/catar-generators.ts';

const REFERENCE_TREES = 25;

/** Checks a law; the failure message has the seed. */
function check<T>(t: ExecutionContext, law: fc.IProperty<T>, runs = 150): void {
  t.notThrows(() => fc.assert(law, { numRuns: runs }));
}

test('what was serialized parses to the same events', (t) => {
  check(
    t,
    fc.property(catarTrees(), (tree) => {
      const events = [...eventsOf(tree)];
      const parsed = plainEvents(parseArchive(serializeEvents(events)));
      return isDeepStrictEqual(parsed, plainEvents(events));
    }),
  );
});

test('the portions in which an archive arrives change nothing', (t) => {
  const cases = catarTrees().chain((tree) => {
    const archive = serializeEvents([...eventsOf(tree)]);
    const cut = fc.integer({ min: 0, max: archive.length });
    const cuts = fc.array(cut, { maxLength: 12 }).map((list) => list.toSorted((a, b) => a - b));
    return fc.tuple(fc.constant(archive), cuts);
  });
  check(
    t,
    fc.property(cases, ([archive, cuts]) => {
      const pieces = parseArchive(archive, {}, cuts);
      return isDeepStrictEqual(plainEvents(pieces), plainEvents(parseArchive(archive)));
    }),
  );
});

test('parse and serialize give back the same bytes', (t) => {
  check(
    t,
    fc.property(catarTrees(), (tree) => {
      const archive = serializeEvents([...eventsOf(tree)]);
      return equalBytes(serializeEvents(parseArchive(archive)), archive);
    }),
  );
});

test('the original casync lists what was serialized', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const folder = temporaryFolder(t);
  const seed = Date.now() % 1_000_000;
  t.log(`seed ${seed}`);
  const trees = fc.sample(catarTrees({ readableByReference: true }), {
    seed,
    numRuns: REFERENCE_TREES,
  });
  for (const [i, tree] of trees.entries()) {
    const events = [...eventsOf(tree)];
    const path = join(folder, `${i}.catar`);
    writeFileSync(path, serializeEvents(events));
    const result = await runReference(['list', path], { timeoutMs: 20_000 });
    t.is(result.status, 0, describeRun(result));
    const count = events.filter((event) => event.kind === 'enter').length;
    const lines = result.stdout.toString('latin1').split('\n').length - 1;
    t.is(lines, count, path);
  }
});
