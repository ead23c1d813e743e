/**
 * Whole commands with indexes, archives and stores on real servers of every kind: what comes back is
 * what went there, as it is on this machine (spec/remote.md).
 */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise, text } from '../helpers/golden.ts';
import { PLACE_KINDS, type PlaceKind, type RemotePlace } from '../helpers/remote-places.ts';
import { requirement } from '../helpers/requirements.ts';
import { type RunResult, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';

interface Scene {
  /** Current folder of the commands, with `blob`, `old blob`, `tree` and `old tree`. */
  readonly cwd: string;
  readonly place: RemotePlace;
  readonly run: (...args: readonly string[]) => Promise<RunResult>;
  /** Makes something there, by a local make where commands cannot write there. */
  readonly make: (name: string, input: string, store?: string) => Promise<RunResult>;
}

const BLOB = Buffer.concat([noise(600_000), text(300_000), Buffer.alloc(200_000)]);

function writeInputs(cwd: string): void {
  fs.writeFileSync(join(cwd, 'blob'), BLOB);
  const old = Buffer.from(BLOB);
  old.fill(1, 100_000, 150_000);
  fs.writeFileSync(join(cwd, 'old blob'), old);
  for (const [tree, last] of [
    ['tree', 'new'],
    ['old tree', 'old'],
  ]) {
    fs.mkdirSync(join(cwd, tree, 'sub'), { recursive: true });
    fs.writeFileSync(join(cwd, tree, 'file'), noise(200_000, 7));
    fs.writeFileSync(join(cwd, tree, 'sub/text'), text(100_000));
    fs.writeFileSync(join(cwd, tree, 'sub', last), last);
    fs.symlinkSync('file', join(cwd, tree, 'link'));
  }
}

async function openScene(t: ExecutionContext, kind: PlaceKind): Promise<Scene> {
  t.timeout(300_000);
  const cwd = temporaryFolder(t);
  writeInputs(cwd);
  const place = await kind.start();
  t.teardown(() => place.stop());
  const run: Scene['run'] = (...args) =>
    succeed(runCasync(args, { cwd, env: place.environment, timeoutMs: 60_000 }));
  const makeThere: Scene['make'] = (name, input, store) =>
    run('make', ...(store ? [`--store=${place.locator(store)}`] : []), place.locator(name), input);
  const makeHere: Scene['make'] = async (name, input, store = 'default.castr') => {
    fs.rmSync(join(cwd, 'here'), { recursive: true, force: true });
    fs.mkdirSync(join(cwd, 'here/folder'), { recursive: true });
    const result = await run('make', `--store=here/${store}`, `here/${name}`, input);
    for (const file of fs.readdirSync(join(cwd, 'here'), { recursive: true, encoding: 'utf8' })) {
      const path = join(cwd, 'here', file);
      if (fs.statSync(path).isFile()) await place.write(file, fs.readFileSync(path));
    }
    return result;
  };
  return { cwd, place, run, make: kind.canWrite ? makeThere : makeHere };
}

function same(t: ExecutionContext, { cwd }: Scene, path: string): void {
  t.true(fs.readFileSync(join(cwd, path)).equals(BLOB), path);
}

for (const kind of PLACE_KINDS) {
  test.serial(`${kind.name}: a blob goes there and comes back`, async (t) => {
    if (!requirement(t, kind.needs)) return;
    const scene = await openScene(t, kind);
    const { cwd, place, run, make } = scene;
    const [index, store] = [place.locator('x.caibx'), `--store=${place.locator('s.castr')}`];
    const made = await make('x.caibx', 'blob', 's.castr');
    const local = await run('make', '--store=own.castr', 'own.caibx', 'blob');
    t.is(made.stdout.toString(), local.stdout.toString());
    t.deepEqual(Buffer.from(await place.read('x.caibx')), fs.readFileSync(join(cwd, 'own.caibx')));

    const { stderr } = await run('extract', '-v', store, index, 'new');
    same(t, scene, 'new');
    t.regex(stderr.toString(), /from remote store: [1-9]\d* \(100%\)/);

    fs.copyFileSync(join(cwd, 'old blob'), join(cwd, 'over'));
    const over = await run('extract', '-v', store, index, 'over');
    same(t, scene, 'over');
    t.notRegex(over.stderr.toString(), /from remote store: \d+ \(100%\)/);

    await run('extract', store, '--seed=old blob', index, 'seeded');
    same(t, scene, 'seeded');
    t.is((await run('digest', store, index)).stdout.toString(), made.stdout.toString());
  });

  test.serial(`${kind.name}: a tree goes there and comes back`, async (t) => {
    if (!requirement(t, kind.needs)) return;
    const { cwd, place, run, make } = await openScene(t, kind);
    const index = place.locator('folder/x.caidx');
    // Who makes things over HTTP or in a bucket need not make folders first; others must.
    await place.write('folder/file', Buffer.of(1));
    const made = await make('folder/x.caidx', 'tree', 'folder/default.castr');
    await run('make', 'own.caidx', 'tree');
    await run('extract', index, 'new');
    t.deepEqual(compareTrees(join(cwd, 'tree'), join(cwd, 'new')), []);
    fs.cpSync(join(cwd, 'old tree'), join(cwd, 'over'), { recursive: true });
    await run('extract', index, 'over');
    t.deepEqual(compareTrees(join(cwd, 'tree'), join(cwd, 'over')), []);
    await run('extract', '--seed=old tree', index, 'part', 'sub');
    t.deepEqual(compareTrees(join(cwd, 'tree/sub'), join(cwd, 'part/sub')), []);
    t.is((await run('digest', index)).stdout.toString(), made.stdout.toString());
    for (const verb of ['list', 'mtree', 'stat']) {
      const [there, here] = [await run(verb, index), await run(verb, 'own.caidx')];
      t.is(there.stdout.toString(), here.stdout.toString(), verb);
    }
    await run('verify', index, 'tree');
    t.is((await run('diff', index, 'tree')).stdout.toString(), '');
  });

  if (!kind.hasArchives) continue;
  test.serial(`${kind.name}: an archive goes there and comes back`, async (t) => {
    if (!requirement(t, kind.needs)) return;
    const { cwd, place, run, make } = await openScene(t, kind);
    const archive = place.locator('x.catar');
    const made = await make('x.catar', 'tree');
    await run('extract', archive, 'new');
    t.deepEqual(compareTrees(join(cwd, 'tree'), join(cwd, 'new')), []);
    await run('extract', archive, 'part', 'sub');
    t.deepEqual(compareTrees(join(cwd, 'tree/sub'), join(cwd, 'part/sub')), []);
    t.is((await run('digest', archive)).stdout.toString(), made.stdout.toString());
    const [there, here] = [await run('mtree', archive), await run('mtree', 'tree')];
    t.is(there.stdout.toString(), here.stdout.toString());
  });
}
